"""Units of a layer, made in one call from whatever a test says of them, and measures asked of such units."""

from dropout_lessons.coadaptation import Layer, LayerUnits
from dropout_lessons.running import MaskedNetwork

_SAID_OF_UNITS = {"outputs", "memory", "unit_axis", "clamp", "temperature"}


def units_of(network, layer, x, y=None, *, outputs="logits", memory=2**28, unit_axis=None, **settings):
    masked = MaskedNetwork(network, outputs=outputs, memory=memory)
    return LayerUnits(masked, Layer(layer, unit_axis=unit_axis), x, y, **settings)


def asked(measure):
    """A measure of a network, a layer and examples, with what is said of the units and of the measure side by side."""

    def ask(network, layer, x, y=None, **settings):
        of_units = {name: settings.pop(name) for name in _SAID_OF_UNITS & set(settings)}
        return measure(units_of(network, layer, x, y, **of_units), **settings)

    return ask
