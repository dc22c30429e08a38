// Results come best first, and the page that explains a term is the best for it; the glossary is next.
{
  const simple = (text) => text.toLowerCase().replace(/[\s-]+/g, " ").trim();
  const wanted = simple(new URLSearchParams(location.search).get("q") ?? "");
  const term = Object.values(TERMS).find(({ names }) => names.map(simple).includes(wanted));
  Scorer.score = ([page, , , , score]) => score + (term?.page === page ? 1000 : page === term?.glossary ? 500 : 0);
}
