"""Results of the paper that nothing here computes, since their data cannot be shipped or are not public."""

from __future__ import annotations

from dataclasses import dataclass

from dropout_lessons.experiments.findings import Reported

__all__ = ["NOT_RUN", "NotRun"]


@dataclass(frozen=True)
class NotRun:
    """A result of the paper that is no experiment of the catalog.

    Attributes:
        title: What it is.
        source: Paper, section, figure or table.
        claim: What the paper says, in one sentence.
        reported: The paper's numbers.
        reason: Why it is not run, and what it would take.
    """

    title: str
    source: str
    claim: str
    reported: tuple[Reported, ...]
    reason: str


NOT_RUN = (
    NotRun(
        "Table 5: ImageNet",
        "Srivastava et al. 2014, Table 5",
        "A convolutional network with dropout beats the best methods without convolutional networks on ILSVRC-2010.",
        (
            Reported("top-1 / top-5 test error, SIFT and Fisher vectors", "45.7% / 25.7%", "Table 5"),
            Reported("top-1 / top-5 test error, convolutional network with dropout", "37.5% / 17.0%", "Table 5"),
        ),
        "The images may be had for research, on request, and must not be passed on: more than a million of them. It would "
        "take the convolutional network of Krizhevsky et al. 2012, and days on a GPU for each seed.",
    ),
    NotRun(
        "Table 7: TIMIT",
        "Srivastava et al. 2014, Table 7",
        "Dropout lowers the phone error rate of speech recognition, for networks that were pretrained most.",
        (
            Reported("phone error rate, 6 layers, without and with dropout", "23.4% and 21.8%", "Table 7"),
            Reported("phone error rate, 4 pretrained layers, without and with dropout", "22.7% and 19.7%", "Table 7"),
        ),
        "The recordings are sold by the Linguistic Data Consortium. It would take a license, the alignments of a speech "
        "recognizer, and pretraining with restricted Boltzmann machines.",
    ),
    NotRun(
        "Reuters",
        "Srivastava et al. 2014, Section 6.3",
        "Dropout lowers the error of classifying news articles by topic, by less than in vision and speech.",
        (Reported("test error, without and with dropout", "31.05% and 29.62%", "Section 6.3"),),
        "The articles of Reuters RCV1 are licensed to those who ask for them, and may not be passed on. It would take "
        "them, and the paper's choice of 50 topics that exclude each other; the networks themselves are small.",
    ),
    NotRun(
        "Table 8: alternative splicing",
        "Srivastava et al. 2014, Table 8",
        "On a small data set dropout beats other networks that are trained once, and a Bayesian network beats dropout.",
        (
            Reported("code quality, early stopping", "440 bits", "Table 8"),
            Reported("code quality, support vector machine after PCA", "487 bits", "Table 8"),
            Reported("code quality, dropout", "567 bits", "Table 8"),
            Reported("code quality, Bayesian network", "623 bits", "Table 8"),
        ),
        "The measurements, of Xiong et al. 2011, are not among those that this package may ship. It would take them, with "
        "their folds, and a sampler for the Bayesian network.",
    ),
)
