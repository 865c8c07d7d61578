from typing import Any

import pytest

from nst_kernel import StyleParams
from nst_kernel.cost import Saving, bytes_of_statistics, bytes_per_pixel, macs_of_statistics, macs_per_pixel
from tests.bench.memory import peak_bytes_per_pixel


def test_multiply_adds_to_conv5_1_are_the_known_ones() -> None:
    """361 k per pixel for VGG-19 to conv5_1, of which the first layer has 9 x 3 x 64."""
    assert macs_per_pixel(StyleParams(preset="gatys2015")) == pytest.approx(361e3, rel=0.01)
    shallow = {"content_weight": 0, "style_layers": "conv1_1"}
    assert macs_per_pixel(StyleParams.of(shallow)) == 9 * 3 * 64


def test_what_takes_memory() -> None:
    params = StyleParams()
    bf16, fp32 = bytes_per_pixel(params, "bf16"), bytes_per_pixel(params, "fp32")
    assert bf16 < 850
    assert bf16 < fp32 == bytes_per_pixel(params, "tf32")
    for precision, share in (("bf16", 0.87), ("fp32", 0.85)):
        assert bytes_per_pixel(params, precision, saving="checkpoint") < share * bytes_per_pixel(params, precision)
    assert bytes_per_pixel(StyleParams(history=20), "bf16") == bf16 + 240
    assert bytes_per_pixel(StyleParams(content_mask="m.png"), "bf16") > bf16 + 166
    assert bytes_per_pixel(StyleParams(transparency="keep"), "bf16") > bf16 + 11
    assert bytes_per_pixel(StyleParams(optimizer="adam"), "bf16") == bf16 - 216
    averaging = StyleParams(optimizer="adam", averaging=0.9)
    assert bytes_per_pixel(averaging, "bf16") == bytes_per_pixel(StyleParams(optimizer="adam"), "bf16") + 12


def test_what_roots_of_matrices_take_whatever_the_size() -> None:
    """CONTROLS: 12 x 3 products of 512 x 512 matrices are 4.8 G multiply-adds."""
    assert (bytes_of_statistics(StyleParams()), macs_of_statistics(StyleParams())) == (0, 0)
    w2 = StyleParams.of({"statistics": "w2", "style_layers": "conv4_1"})
    assert macs_of_statistics(w2) == pytest.approx(4.8e9, rel=0.05)
    assert 5 * 4 * 512**2 < bytes_of_statistics(w2) < 20 * 4 * 512**2
    assert macs_of_statistics(StyleParams.of({"statistics": "w2", "style_weight": 0})) == 0


@pytest.mark.slow
@pytest.mark.parametrize("saving", ["nothing", "checkpoint"])
@pytest.mark.parametrize(
    ("precision", "given"),
    [
        ("bf16", {}),
        ("fp32", {}),
        ("bf16", {"content_layers": "conv2_2"}),
        ("bf16", {"content_layers": "conv1_2"}),
        ("fp32", {"content_layers": "conv1_2"}),
        ("bf16", {"pooling": "max"}),
        ("bf16", {"style_layers": "conv1_2, conv2_2, conv3_4, conv4_1"}),
        ("bf16", {"optimizer": "adam"}),
    ],
    ids=str,
)
def test_the_model_is_a_bound_of_what_is_measured(precision: str, given: dict[str, Any], saving: Saving) -> None:
    modelled = bytes_per_pixel(StyleParams.of(given), precision, saving=saving)
    measured = peak_bytes_per_pixel(512, 1, saving=saving, precision=precision, **given)
    assert 0.75 * modelled < measured < 1.05 * modelled


@pytest.mark.slow
@pytest.mark.parametrize("regions", [1, 2, 4])
def test_the_model_is_a_bound_of_what_regions_take(regions: int) -> None:
    modelled = bytes_per_pixel(StyleParams(content_mask="m.png"), "fp32") - bytes_per_pixel(StyleParams(), "fp32")
    base, masked = (peak_bytes_per_pixel(256, 1, regions=count, precision="fp32") for count in (0, regions))
    assert masked - base < modelled


def test_content_at_full_size_takes_its_memory() -> None:
    deep, shallow = (
        bytes_per_pixel(StyleParams.of({"content_layers": layer}), "bf16") for layer in ("conv4_2", "conv1_2")
    )
    assert shallow > deep + 2 * 64
