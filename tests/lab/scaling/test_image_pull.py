"""Image pulls: a shared registry, and links of the nodes."""

from __future__ import annotations

from lab.scaling.image_pull import Image, Pulls
from lab.scaling.quantities import Bandwidth, Size


def pulls(node_bandwidth: float = 1e12) -> Pulls:
    return Pulls(
        Image(
            size=Size(100), registry_bandwidth=Bandwidth(10),
            node_bandwidth=Bandwidth(node_bandwidth),
        )
    )  # fmt: skip


def test_one_pull_has_the_whole_bandwidth() -> None:
    one = pulls()
    one.begin(7)
    assert list(one.advance(9.9)) == []
    assert list(one.advance(20.0)) == [(10.0, 7)]
    assert list(one.advance(90.0)) == []


def test_pulls_share_the_bandwidth() -> None:
    """The second joins at 5 s, when half of the first is left: both then run at half speed.

    The first ends after 50 / 5 = 10 s more, at 15; the second then has 100 - 50 left, until 20.
    """
    both = pulls()
    both.begin(1)
    assert list(both.advance(5.0)) == []
    both.begin(2)
    assert list(both.advance(30.0)) == [(15.0, 1), (20.0, 2)]


def test_a_nodes_link_limits_its_pull() -> None:
    slow = pulls(node_bandwidth=4)
    slow.begin(1)
    slow.begin(2)
    assert [at for at, _ in slow.advance(100.0)] == [25.0, 25.0]


def test_a_node_pulls_once() -> None:
    one = pulls()
    one.begin(1)
    list(one.advance(6.0))
    one.begin(1)
    assert list(one.advance(20.0)) == [(10.0, 1)]
