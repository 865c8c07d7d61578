import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_kernel import Pair, StyleParams
from nst_kernel.objective.objective import Objective
from nst_kernel.objective.style_terms import STYLE_TERMS
from nst_kernel.objective.targets import Targets, _laplacians, content_features, style_grams
from tests.nst_kernel.support import reference
from tests.nst_kernel.support.reference import array
from tests.support import encoder, pixels, random_weights

SHALLOW = {
    "content_layers": ("conv2_1", "conv1_2"),
    "style_layers": ("conv2_1", "conv1_1"),
    "content_weight": 1,
    "style_weight": 1,
    "tv_weight": 0,
    "range_weight": 0,
}
EXTRAS = {"tv_weight": 5, "range_weight": 7, "laplacian_weight": 3}
ALL_TERMS = StyleParams.of({**SHALLOW, **EXTRAS, "alpha": 2, "beta": 3})


def objective(params: list[StyleParams], content: list[Tensor], style: list[Tensor]) -> Objective:
    vgg = encoder("conv2_1", torch.float64, narrower=8)
    grams = [style_grams(vgg, picture.unsqueeze(0), params[0]) for picture in style]
    target = STYLE_TERMS[params[0].statistics].target
    layers = params[0].style_layers if params[0].style_weight > 0 else ()
    return Objective(
        vgg,
        Targets(
            content=content_features(vgg, torch.stack(content), params[0]) if content else {},
            style={layer: target(torch.cat([gram[layer] for gram in grams])) for layer in layers},
            laplacians=_laplacians(list(map(Pair.of, content, style, params)), vgg) if content and style else {},
        ),
        params,
    )


FORMS = {
    "paper": (reference.content_loss, reference.style_layer_loss),
    "relative": (reference.relative_content_loss, reference.relative_style_loss),
    "mean": (reference.mean_content_loss, reference.mean_style_loss),
}
OF_MOMENTS = {
    ("paper", "covariance"): reference.covariance_loss,
    ("relative", "covariance"): reference.relative_covariance_loss,
    ("mean", "covariance"): reference.mean_covariance_loss,
    ("paper", "w2"): reference.w2_loss,
    ("relative", "w2"): reference.relative_w2_loss,
    ("mean", "w2"): reference.mean_w2_loss,
}
KINDS = [(form, "gram") for form in FORMS] + list(OF_MOMENTS)
CONTENT, STYLE = [pixels(1, 20, 18), pixels(2, 20, 18)], [pixels(3, 17, 25), pixels(4, 22, 16)]
X = torch.stack([pixels(5, 20, 18), pixels(6, 20, 18)]) * 1.4 - 0.2


@pytest.mark.parametrize(("form", "statistics"), KINDS)
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_every_column_of_every_sample(form: str, statistics: str, pooling: str) -> None:
    parameters = {**SHALLOW, "objective": form, "statistics": statistics, "pooling": pooling}
    params = [
        StyleParams.of({**parameters, **EXTRAS, "alpha": 2, "beta": 3, "laplacian_pools": "1, 4, 9"}),
        StyleParams.of({**parameters, "layer_weights": (0.3, 2), "content_layer_weights": (0.7, 0.1)}),
    ]
    f = objective(params, CONTENT, STYLE)
    content_term, of_grams = FORMS[form]
    style_term = OF_MOMENTS.get((form, statistics), of_grams)
    none_given = (1.0, 1.0) if form == "mean" else (0.5, 0.5)
    for row, x, content, style, p in zip(f(X), X, CONTENT, STYLE, params, strict=True):
        weights, wanted = random_weights(0, "conv2_1", narrower=8), {*p.content_layers, *p.style_layers}
        F, P, S = (reference.vgg(array(picture), weights, wanted, pooling=pooling) for picture in (x, content, style))
        per_layer = {layer: style_term(F[layer], S[layer]) for layer in p.style_layers}
        v, w = (np.array(given or none_given) for given in (p.content_layer_weights, p.layer_weights))
        if form == "relative":  # where proportions count, and nothing else
            v, w = v / v.sum(), w / w.sum()
        expected = {
            "content": np.dot(v, [content_term(F[layer], P[layer]) for layer in p.content_layers]),
            "style": np.dot(w, list(per_layer.values())),
            "tv": reference.total_variation(array(x)) if p.tv_weight else 0.0,
            "range": reference.out_of_range(array(x)) if p.range_weight else 0.0,
            "laplacian": reference.laplacian_loss(array(x), array(content), p.laplacian_pools, form)
            if p.laplacian_weight
            else 0.0,
            **{f"style/{layer}": loss for layer, loss in per_layer.items()},
        }
        expected["total"] = np.dot(
            (p.content_weight, p.style_weight, p.tv_weight, p.range_weight, p.laplacian_weight),
            [expected[name] for name in ("content", "style", "tv", "range", "laplacian")],
        )
        # The kernel keeps the mean and deviation of its input in float32.
        assert dict(zip(f.names, row.tolist(), strict=True)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("form", "statistics"), KINDS)
def test_gradient_agrees_with_finite_differences(form: str, statistics: str) -> None:
    params = StyleParams.of({**ALL_TERMS.to_json(), "objective": form, "statistics": statistics})
    f = objective([params], CONTENT[:1], STYLE[:1])
    x = X[:1].clone().requires_grad_()
    along = torch.randn(X[:1].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for column in range(len(f.names)):
        (gradient,) = torch.autograd.grad(f(x)[:, column].sum(), x)
        up, down = (f(X[:1] + step * along)[0, column] for step in (1e-6, -1e-6))
        assert (gradient * along).sum().item() == pytest.approx((up - down).item() / 2e-6, rel=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        SHALLOW,
        {**SHALLOW, "tv_weight": 3, "tv_form": "sum", "laplacian_weight": 2, "laplacian_pools": (2,)},
        {**SHALLOW, "tv_weight": 3, "tv_form": "nine_point"},
        {**SHALLOW, "statistics": "w2"},
    ],
)
def test_rows_do_not_depend_on_batch_mates(other: dict[str, Any]) -> None:
    """Values and gradients, of every term that a sample may have by itself."""
    second = StyleParams.of(other)
    both = [dataclasses.replace(ALL_TERMS, statistics=second.statistics), second]
    x = X.clone().requires_grad_()
    f = objective(both, CONTENT, STYLE)
    together = f(x)
    (gradient,) = torch.autograd.grad(together[:, 0].sum(), x)
    for b, params in enumerate(both):
        one = X[b : b + 1].clone().requires_grad_()
        g = objective([params], CONTENT[b : b + 1], STYLE[b : b + 1])
        assert list(f.columns(b)) == list(g.columns(0)) == list(g.names)
        alone = g(one)
        torch.testing.assert_close(alone[0], together[b, list(f.columns(b).values())], rtol=1e-12, atol=0)
        torch.testing.assert_close(
            torch.autograd.grad(alone[:, 0].sum(), one)[0], gradient[b : b + 1], rtol=1e-9, atol=0
        )


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_layers_are_proportions_where_terms_are_relative(form: str) -> None:
    losses = [
        objective([StyleParams.of({**SHALLOW, "objective": form, **weights})], CONTENT[:1], STYLE[:1])(X[:1])
        for weights in (
            {"layer_weights": "1, 3", "content_layer_weights": "3, 1"},
            {"layer_weights": "10, 30", "content_layer_weights": "0.3, 0.1"},
        )
    ]
    assert torch.allclose(losses[0][:, :3], losses[1][:, :3], rtol=1e-6) is (form == "relative")


def test_a_picture_goes_on_beyond_its_border() -> None:
    """A flat one has no border, so that its size does not matter; zeros beyond it would be a frame."""
    small, large = (torch.full((3, *shape), 0.1, dtype=torch.float64) for shape in ((20, 18), (34, 52)))
    losses = objective([StyleParams.of(SHALLOW)], [small], [large])(small.unsqueeze(0))
    assert losses[0, 0].item() < 1e-20


def test_what_has_no_weight_takes_no_part() -> None:
    unused = [
        {"content_weight": 0, "content_layers": ()},
        {"content_weight": 0, "content_layers": "conv1_2, conv2_1", "content_layer_weights": "1, 2"},
    ]
    params = [StyleParams.of({**SHALLOW, **parameters}) for parameters in unused]
    style_alone = objective(params, [], STYLE)(X)
    assert style_alone[:, 1].tolist() == [0, 0]
    assert torch.equal(style_alone[:, 0], style_alone[:, 2])

    nothing_but_content = StyleParams.of({**SHALLOW, "style_weight": 0, "style_layers": ()})
    f = objective([nothing_but_content], CONTENT[:1], [])
    assert f.names == ("total", "content", "style", "tv", "range")
    assert torch.equal(f(X[:1])[:, 0], f(X[:1])[:, 1])
