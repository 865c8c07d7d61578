"""The paper in float64 NumPy, one picture at a time, written without the kernel: what its results are held against."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel import Weights

Array = NDArray[np.float64]


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def vgg(picture: Array, weights: Weights, layers: Iterable[str], *, pooling: str = "avg") -> dict[str, Array]:
    """Activations (N, H, W) of a picture (3, H, W) in [0, 1], in torchvision's convention, continued as in a mirror."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = (picture - mean[:, None, None]) / deviation[:, None, None]
    features: dict[str, Array] = {}
    for layer, (weight, bias) in weights.convolutions.items():
        if layer in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
            h, w = x.shape[1] // 2, x.shape[2] // 2
            cells = x[:, : 2 * h, : 2 * w].reshape(-1, h, 2, w, 2)
            x = cells.mean((2, 4)) if pooling == "avg" else cells.max((2, 4))
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect")
        windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
        x = np.tensordot(array(weight), windows, axes=((1, 2, 3), (0, 3, 4))) + array(bias)[:, None, None]
        x = features[layer] = np.maximum(x, 0)
    return {layer: features[layer] for layer in layers}


def gram(F: Array) -> Array:
    """Eq. 3, of activations (N, H, W)."""
    G: Array = np.einsum("ihw,jhw->ij", F, F)
    return G


def content_loss(F: Array, P: Array) -> float:
    """Eq. 1."""
    return float(0.5 * ((F - P) ** 2).sum())


def style_layer_loss(F: Array, S: Array) -> float:
    """Eq. 4, of activations of output and style; where their sizes differ, each Gram is divided by its own M."""
    N, M, M_style = len(F), F[0].size, S[0].size
    return float(((gram(F) / M - gram(S) / M_style) ** 2).sum() / (4 * N**2))


def relative_content_loss(F: Array, P: Array) -> float:
    return float(0.5 * ((F - P) ** 2).sum() / (P**2).sum())


def relative_style_loss(F: Array, S: Array) -> float:
    G, A = gram(F) / F[0].size, gram(S) / S[0].size
    return float(((G - A) ** 2).sum() / (A**2).sum())


def mean_content_loss(F: Array, P: Array) -> float:
    return float(((F - P) ** 2).mean())


def mean_style_loss(F: Array, S: Array) -> float:
    """The mean square of the difference of Gram matrices, each over the number of its picture's activations."""
    return float(((gram(F) / F.size - gram(S) / S.size) ** 2).mean())


def moments(F: Array) -> tuple[Array, Array]:
    """Mean and covariance of activations (N, H, W)."""
    columns = F.reshape(len(F), -1)
    return columns.mean(1), np.atleast_2d(np.cov(columns, bias=True))


def covariance_loss(F: Array, S: Array) -> float:
    (m, C), (m_s, C_s) = moments(F), moments(S)
    return float(((C - C_s) ** 2).mean() / 4 + ((m - m_s) ** 2).mean() / 4)


def relative_covariance_loss(F: Array, S: Array) -> float:
    (m, C), (m_s, C_s) = moments(F), moments(S)
    square = (m_s**2).sum()
    return float(((C - C_s) ** 2).sum() / ((C_s**2).sum() + (1e-3 * square) ** 2) + ((m - m_s) ** 2).sum() / square)


def mean_covariance_loss(F: Array, S: Array) -> float:
    (m, C), (m_s, C_s), N = moments(F), moments(S), len(F)
    return float((((C - C_s) / N) ** 2).mean() + (((m - m_s) / N) ** 2).mean())


def w2_loss(F: Array, S: Array) -> float:
    """The roots of the eigenvalues of Σ Σ_s, which are those of the root of Σ_s^½ Σ Σ_s^½."""
    (m, C), (m_s, C_s), ridge = moments(F), moments(S), 1e-4 * np.eye(len(F))
    roots = np.sqrt(np.maximum(np.linalg.eigvals((C + ridge) @ (C_s + ridge)).real, 0))
    return float(((m - m_s) ** 2).sum() + np.trace(C + C_s + 2 * ridge) - 2 * roots.sum())


def relative_w2_loss(F: Array, S: Array) -> float:
    mean, covariance = moments(S)
    return float(w2_loss(F, S) / ((mean**2).sum() + np.trace(covariance) + 1e-4 * len(S)))


def mean_w2_loss(F: Array, S: Array) -> float:
    return w2_loss(F, S) / len(F)


def total_variation(x: Array) -> float:
    return float((np.diff(x, axis=2) ** 2).mean() + (np.diff(x, axis=1) ** 2).mean())


def half_sum_variation(x: Array) -> float:
    """As neural-style's gradient has it: each pixel but those of the last row and column, with two neighbours."""
    _, H, W = x.shape
    differences = [
        x[:, i, j] - x[:, k, m] for i in range(H - 1) for j in range(W - 1) for k, m in ((i, j + 1), (i + 1, j))
    ]
    return float(0.5 * np.sum(np.square(differences)))


def nine_point_variation(x: Array) -> float:
    """As crowsonkb's TVLoss: twice the sum of four means, of a picture that is enclosed by its own border."""
    p = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    means = [
        ((p[:, 1:-1, 2:] - p[:, 1:-1, 1:-1]) ** 2).mean() / 3,
        ((p[:, 2:, 1:-1] - p[:, 1:-1, 1:-1]) ** 2).mean() / 3,
        ((p[:, 1:, 1:] - p[:, :-1, :-1]) ** 2).mean() / 12,
        ((p[:, 1:, :-1] - p[:, :-1, 1:]) ** 2).mean() / 12,
    ]
    return float(2 * sum(means))


def laplacian(x: Array, pool: int) -> Array:
    """Of the mean of each square of pixels, colours added up: 0 -1 0/-1 4 -1/0 -1 0, without the outermost squares."""
    h, w = x.shape[1] // pool, x.shape[2] // pool
    y = x.sum(0)[: h * pool, : w * pool].reshape(h, pool, w, pool).mean((1, 3))
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    if min(h, w) < 3:
        return np.zeros((0, 0))
    return np.asarray(np.einsum("hwij,ij->hw", sliding_window_view(y, (3, 3)), kernel))


def laplacian_loss(x: Array, content: Array, pools: Iterable[int], form: str) -> float:
    total = 0.0
    for pool in pools:
        D, T = laplacian(x, pool), laplacian(content, pool)
        over = {"paper": 1.0, "relative": (T**2).sum(), "mean": D.size}[form]
        total += ((D - T) ** 2).sum() / over if D.size else 0.0
    return float(total)


def out_of_range(x: Array) -> float:
    return float((np.maximum(x - 1, 0) ** 2 + np.minimum(x, 0) ** 2).mean())


def gatys_2015(x: Array, p: Array, a: Array, weights: Weights, *, alpha: float, beta: float) -> Mapping[str, float]:
    """Eq. 1 to 7 as printed, for pictures x, p and a of one size."""
    style_layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    F, P, S = (vgg(picture, weights, {"conv4_2", *style_layers}) for picture in (x, p, a))
    content = 0.5 * ((F["conv4_2"] - P["conv4_2"]) ** 2).sum()
    style = 0.0
    for layer in style_layers:
        N, M = len(F[layer]), F[layer][0].size
        G, A = gram(F[layer]), gram(S[layer])
        style += 1 / 5 * ((G - A) ** 2).sum() / (4 * N**2 * M**2)
    return {"total": alpha * content + beta * style, "content": content, "style": style}
