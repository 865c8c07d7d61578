import torch

from nst_kernel.objective.gram_cache import GramCache, Grams


def grams(kilobytes: int) -> Grams:
    return {"conv1_1": torch.zeros(kilobytes * 256)}


def test_what_was_used_longest_ago_gives_way() -> None:
    cache = GramCache(budget=4096)
    for key in ("a", "b", "c"):
        cache.get(key, lambda: grams(1))
    cache.get("a", lambda: grams(1))
    cache.get("large", lambda: grams(2))
    assert (cache.hits, cache.misses, cache.used) == (1, 4, 4096)
    for key in ("a", "c", "large"):
        cache.get(key, lambda: grams(1))
    assert (cache.hits, cache.misses) == (4, 4)
    cache.get("b", lambda: grams(1))
    assert cache.misses == 5


def test_what_is_larger_than_the_budget_is_served_and_not_kept() -> None:
    cache = GramCache(budget=1024)
    cache.get("small", lambda: grams(1))
    kept = cache.get("large", lambda: grams(2))
    assert len(kept["conv1_1"]) == 512
    cache.get("small", lambda: grams(1))
    assert (cache.used, cache.hits) == (1024, 1)
