"""Which of two people pixels belong to, as the cheapest border between them: a minimum cut.

Pure arrays. A border is cheap where colours change, so it comes to lie on edges of the picture.
"""

from __future__ import annotations

import numpy as np

#: Of a label's price and of a border: capacities are whole numbers, so the cut is exact.
_SCALE = 100
#: A price that no border outweighs.
FIXED = 100.0
#: The price of a border between two pixels of one colour, beside prices of labels of 0 to 5.
_BORDER = 2.0
#: Neighbours to the right and below, with the distance.
_STEPS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2**0.5), (1, -1, 2**0.5))


def second_label(
    colours: np.ndarray, asked: np.ndarray, price_first: np.ndarray, price_second: np.ndarray
) -> np.ndarray:
    """HxW bool: the `asked` pixels (HxW bool) to which the cheapest cut gives the second label.

    `colours` HxWx3; `price_first` and `price_second` (HxW float, >= 0) are what it costs to give a
    pixel that label. Of several cuts that cost the same it is the one with most of the second.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = int(asked.sum())
    second = np.zeros(asked.shape, bool)
    if not count:
        return second
    source, sink, nodes = count, count + 1, np.arange(count)
    one, other, border = _borders(colours.astype(np.float32), asked)
    tails = np.concatenate([one, other, np.full(count, source), nodes])
    heads = np.concatenate([other, one, nodes, np.full(count, sink)])
    prices = [_whole(price[asked]) for price in (price_second, price_first)]
    capacities = np.concatenate([border, border, *prices])
    some = capacities > 0
    graph = csr_matrix(
        (capacities[some], (tails[some], heads[some])), shape=(count + 2, count + 2), dtype=np.int32
    )
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    behind = np.ones(count + 2, bool)
    behind[breadth_first_order(left, source, return_predecessors=False)] = False
    second[asked] = behind[:count]
    return second


def _whole(prices: np.ndarray) -> np.ndarray:
    return (np.clip(prices, 0, FIXED) * _SCALE).astype(np.int32)


def _borders(colours: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the pixels of each pair of neighbours, and the capacity between them."""
    high, wide = asked.shape
    number = np.full(asked.shape, -1)
    number[asked] = np.arange(int(asked.sum()))
    ones, others, changes, distances = [], [], [], []
    for down, right, distance in _STEPS:
        here = np.s_[: high - down, max(0, -right) : wide - max(0, right)]
        there = np.s_[down:, max(0, right) : wide + min(0, right)]
        both = asked[here] & asked[there]
        ones.append(number[here][both])
        others.append(number[there][both])
        changes.append(((colours[here] - colours[there]) ** 2).sum(-1)[both])
        distances.append(np.full(int(both.sum()), distance, np.float32))
    change = np.concatenate(changes)
    usual = 2 * float(change.mean()) + 1e-6 if len(change) else 1.0
    price = _BORDER * _SCALE * np.exp(-change / usual) / np.concatenate(distances)
    return np.concatenate(ones), np.concatenate(others), price.astype(np.int32) + 1
