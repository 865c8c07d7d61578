"""The sheets of the gallery as data: for each control the values that are shown, and the pictures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SHARED: Mapping[str, object] = {"size": 144, "iterations": 36, "scales": ""}
"""Parameters of all cells, unless a sheet, a line or a column has others."""

GREY = ", grey"
"""What follows the name of a drawn picture that is shown without its colours."""

CUT_OUT = ", cut out"
"""What follows the name of a drawn picture of which a disc is shown, and the rest is transparent."""

Values = Mapping[str, object]


@dataclass(frozen=True)
class Line:
    """Pictures that every column of a sheet is applied to.

    Attributes:
        content: name of a drawn picture; None: a texture is made of the style alone.
        styles: names of drawn pictures.
        values: parameters of the line.
    """

    content: str | None
    styles: tuple[str, ...]
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """A sheet: lines of pictures, and columns of parameters.

    Attributes:
        name: of the sheet and its file: the control, or what several have in common.
        shows: what to look for, as a sentence.
        lines: from the top.
        columns: parameters by column, from the left; their labels are made from them.
        shared: parameters of all its cells.
        repeat: how often a picture is put beside and below itself.
    """

    name: str
    shows: str
    lines: tuple[Line, ...]
    columns: tuple[Values, ...]
    shared: Values = field(default_factory=dict)
    repeat: int = 1

    @property
    def controls(self) -> frozenset[str]:
        """Names of the parameters that its cells differ in."""
        return frozenset(name for values in (*self.columns, *(line.values for line in self.lines)) for name in values)


def _each(name: str, *values: object, **others: object) -> Iterator[Values]:
    """Yield a column for each value of a parameter, all with the others."""
    for value in values:
        yield {name: value, **others}


_TEXTURE: Values = {"content_weight": 0, "init": "noise", "iterations": 60}
_STRONG_STYLE: Values = {"style_weight": 5.0}
_OF_TUTORIAL: Values = {"content_weight": 1, "style_weight": 1e6, "tv_weight": 0}
_ADAM: Values = {"optimizer": "adam", "learning_rate": 0.05}

SHEETS: tuple[Sheet, ...] = (
    Sheet(
        "style_weight",
        "the content gives way to the style from left to right",
        (Line("boats", ("night",)), Line("fruit", ("mosaic",))),
        tuple(_each("style_weight", 0.03, 0.2, 1, 5)),
    ),
    Sheet(
        "presets",
        "numbers that hold for another encoder may leave the style without effect, or nothing but smoothness; those of "
        "tutorial are for normalised encoders",
        (Line("boats", ("night",)),),
        (
            *_each("preset", "default", "crowsonkb", "tutorial", "gatys2016"),
            {"preset": "gatys2016", **_OF_TUTORIAL},
        ),
        {"iterations": 60},
    ),
    Sheet(
        "presets_from_noise",
        "what starts from noise or grey takes hundreds of evaluations; weights as above",
        (Line("boats", ("night",)),),
        (
            *_each("preset", "gatys2015", "texture", "reconstruction"),
            *(
                {"preset": preset, **weights}
                for preset in ("johnson", "anishathalye")
                for weights in ({}, _OF_TUTORIAL)
            ),
        ),
        {"size": 96, "iterations": 200},
    ),
    Sheet(
        "size",
        "with objective=relative the balance of content and style is that of any other size",
        (Line("town", ("glass",)),),
        tuple(_each("size", 80, 144, 224)),
    ),
    Sheet(
        "style_blend_weights",
        "the picture passes from the first style to the second",
        (Line("boats", ("night", "mosaic")),),
        tuple(_each("style_blend_weights", "1,0", "3,1", "1,1", "1,3", "0,1")),
        _STRONG_STYLE,
    ),
    Sheet(
        "masks",
        "each style stays in its region, also where masks are soft; inside takes features that see nothing else; a "
        "region that no style has, here the boat, keeps its content",
        (Line("boats", ("night", "mosaic")),),
        (
            *_each("content_mask", "", "sky|sea", "sea|sky", "left to right|right to left"),
            {"content_mask": "sky|sea", "mask_mode": "inside"},
            {"content_mask": "sky, sea, boat", "style_mask": "red|blue"},
        ),
        _STRONG_STYLE,
    ),
    Sheet(
        "style_scale",
        "strokes grow from left to right; a style is enlarged beyond its own pixels only with style_upscale",
        (Line("lake", ("batik",)),),
        (*_each("style_scale", 0.5, 1, 2), {"style_scale": 4, "style_upscale": True}),
        _STRONG_STYLE,
    ),
    Sheet(
        "statistics",
        "what is compared of features changes how the style is taken",
        (Line("lake", ("mosaic",)), Line(None, ("mosaic",), _TEXTURE)),
        tuple(_each("statistics", "gram", "covariance", "w2")),
    ),
    Sheet(
        "preserve_color",
        "the strokes are the style's, the colours the content's",
        (Line("boats", ("harvest",)),),
        tuple(_each("preserve_color", "none", "luminance", "luminance_after", "match", "transport")),
        _STRONG_STYLE,
    ),
    Sheet(
        "style_color",
        "the content has the style's colours even where the style is weak",
        (Line("fruit", ("night",)),),
        tuple(_each("style_color", "none", "match", "transport")),
        {"style_weight": 0.05},
    ),
    Sheet(
        "grey",
        "grey in, grey out; a grey content takes the colours of its style unless they are to be kept",
        (Line("lake, grey", ("harvest, grey",)), Line("lake, grey", ("harvest",))),
        tuple(_each("preserve_color", "none", "luminance", "match")),
        _STRONG_STYLE,
    ),
    Sheet(
        "laplacian_weight",
        "edges of the content stay, coarse ones with large pools, fine ones with small",
        (Line("town", ("night",)),),
        (
            *_each("laplacian_weight", 0, 1, 10),
            *({"laplacian_weight": 10, "laplacian_pools": pools} for pools in ("1", "16", "2,8")),
        ),
        _STRONG_STYLE,
    ),
    Sheet(
        "tv_weight",
        "pictures get smoother; the forms count neighbours in their own ways",
        (Line("lake", ("crayon",)),),
        (
            *_each("tv_weight", 0, 0.5, 10),
            {"tv_weight": 10, "tv_form": "nine_point"},
            {"tv_weight": 1e-3, "tv_form": "sum"},
        ),
    ),
    Sheet(
        "init",
        "where pixels start decides which of many minima is found, and how soon",
        (Line("fruit", ("woodcut",)),),
        (*_each("init", "content", "style", "grey", "noise"), *_each("init_noise", 0.3, 0.8)),
    ),
    Sheet(
        "pooling",
        "the mean over positions is smoother than their maximum",
        (Line("forest", ("watercolour",)), Line(None, ("watercolour",), _TEXTURE)),
        tuple(_each("pooling", "avg", "max")),
    ),
    Sheet(
        "adam",
        "large steps of Adam leave noise, which an average of its iterates takes away",
        (Line("boats", ("mosaic",)),),
        (
            {"optimizer": "lbfgs"},
            _ADAM,
            *({**_ADAM, **more} for more in ({"adam_beta2": 0.9}, {"clamp": True})),
            *({**_ADAM, "averaging": averaging} for averaging in (0.8, 0.95)),
        ),
    ),
    Sheet(
        "scales",
        "coarse scales first give larger forms",
        (Line("boats", ("night",)),),
        (
            *_each("scales", "", "128"),
            *_each("min_scale", 128, 64, scales="sqrt2"),
        ),
        {"size": 192, "init": "noise", "iterations": 25},
    ),
    Sheet(
        "transparency",
        "with keep, what is transparent of a content stays so, and of a style does not count; else it is laid on white",
        (Line(f"fruit{CUT_OUT}", (f"night{CUT_OUT}",)), Line("fruit", (f"night{CUT_OUT}",))),
        tuple(_each("transparency", "white", "keep")),
        _STRONG_STYLE,
    ),
    Sheet(
        "tileable",
        "pictures are put beside and below themselves: no seam with tileable=true",
        (Line(None, ("marbling",), _TEXTURE), Line("forest", ("batik",), _STRONG_STYLE)),
        tuple(_each("tileable", False, True)),
        {"size": 80},
        repeat=2,
    ),
)
"""Every sheet, in the order in which they are made."""
