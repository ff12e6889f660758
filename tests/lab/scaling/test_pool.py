"""The pool of instances, on nodes with and without room, with and without an image to pull."""

from __future__ import annotations

import math

import numpy as np

from lab.scaling.arrays import FloatArray
from lab.scaling.autoscalers.cluster import Cluster, ClusterAutoscaler
from lab.scaling.distributions import Fixed
from lab.scaling.image_pull import Image, Pulls
from lab.scaling.nodes import Nodes
from lab.scaling.pool import Pool
from lab.scaling.quantities import Bandwidth, Seconds, Size


class Starts:
    """Starts of ten seconds for each instance that its node starts at once."""

    emulated = False
    largest_count = None

    def law(self) -> None:
        return None

    def draw(self, chance: np.random.Generator, at_once: FloatArray) -> FloatArray:
        del chance
        return 10 * at_once


def pool(nodes: int = 1, room: float = math.inf, image: Image | None = None) -> Pool:
    made = Nodes(nodes, room, have_image=image is None or image.cached)
    return Pool(Starts(), made, Pulls(image) if image else None, np.random.default_rng(1))


IMAGE = Image(size=Size(100), registry_bandwidth=Bandwidth(10), cached=False)


def test_the_first_instances_are_ready() -> None:
    one = pool()
    one.begin_with(3)
    assert (one.replicas, one.ready, one.pending) == (3, 3, 0)
    assert one.pods().ready_since == (0.0, 0.0, 0.0)
    assert one.mean_start_seconds is None


def test_starts_depend_on_how_many_a_node_starts_at_once() -> None:
    one = pool()
    one.request(2, 5.0)
    assert one.advance(25.0).tolist() == []
    assert one.advance(25.5).tolist() == [25.0, 25.0]
    one.request(1, 30.0)
    assert one.advance(60.0).tolist() == [40.0]
    assert one.ready == 3
    assert one.largest_at_once == 2
    assert one.mean_start_seconds == (20 + 20 + 10) / 3


def test_instances_spread_over_nodes() -> None:
    two = pool(nodes=2)
    two.request(4, 0.0)
    assert two.advance(100.0).tolist() == [20.0] * 4  # two at once on each
    assert [node.instances for node in two.nodes.all.values()] == [2, 2]


def test_instances_without_room_wait_for_a_node() -> None:
    small = pool(nodes=1, room=2)
    small.request(5, 0.0)
    assert (small.placed, small.pending) == (2, 3)
    small.nodes.add(1.0, 30.0)
    assert small.advance(50.0).tolist() == [20.0, 20.0]
    assert (small.placed, small.pending) == (4, 1)
    assert small.advance(90.0).tolist() == [50.0, 50.0]  # 20 s after the node was ready at 30


def test_a_node_pulls_the_image_before_its_first_instance() -> None:
    pulling = pool(image=IMAGE)
    pulling.request(1, 0.0)
    assert pulling.advance(100.0).tolist() == [20.0]  # 10 s for the image and 10 for the start
    assert pulling.mean_start_seconds == 20
    pulling.request(1, 100.0)
    assert pulling.advance(200.0).tolist() == [110.0]


def test_nodes_share_the_registry() -> None:
    pulling = pool(nodes=4, image=IMAGE)
    pulling.request(4, 0.0)
    assert pulling.advance(100.0).tolist() == [50.0] * 4


def test_a_pull_in_progress_is_shared_by_a_nodes_instances() -> None:
    pulling = pool(image=IMAGE)
    pulling.request(1, 0.0)
    pulling.advance(5.0)
    pulling.request(1, 5.0)
    assert pulling.advance(100.0).tolist() == [20.0, 30.0]


def test_a_request_within_an_interval_pulls_from_then_on() -> None:
    pulling = pool(image=IMAGE)
    pulling.advance(1.0)
    pulling.request(1, 1.5)
    assert pulling.advance(60.0).tolist() == [21.5]


def test_those_that_are_not_ready_are_removed_first() -> None:
    small = pool(nodes=1, room=4)
    small.begin_with(1)
    small.request(1, 0.0)
    small.advance(15.0)  # the second is ready at 10
    small.request(4, 15.0)  # two start, two are pending
    assert small.remove(1, 16.0) == 0
    assert small.remove(2, 16.0) == 0
    assert (small.replicas, small.pending, small.ready) == (3, 0, 2)
    assert small.remove(1, 16.0) == 0
    assert small.remove(1, 16.0) == 1
    assert small.pods().ready_since == (0.0,)
    assert small.advance(99.0).tolist() == []
    assert [node.instances for node in small.nodes.all.values()] == [1]


def test_instances_that_wait_for_the_image_are_removed_before_starting_ones() -> None:
    pulling = pool(image=IMAGE)
    pulling.request(3, 0.0)
    assert pulling.remove(2, 1.0) == 0
    assert pulling.advance(200.0).tolist() == [40.0]
    assert [node.starting for node in pulling.nodes.all.values()] == [0]


def test_a_drained_nodes_instances_start_elsewhere() -> None:
    two = pool(nodes=2, room=4)
    two.begin_with(4)
    assert two.drain(two.nodes.all[0], 50.0) == 2
    assert (two.replicas, two.ready, two.pending) == (4, 2, 0)
    assert two.advance(100.0).tolist() == [70.0, 70.0]
    assert two.nodes.seconds(100.0) == 50 + 100


def test_time_is_counted_from_the_place_on_a_node() -> None:
    small = pool(nodes=1, room=2)
    small.begin_with(1)
    small.request(2, 10.0)  # one of them is pending
    small.remove(2, 30.0)
    assert small.seconds(40.0) == 10 * 1 + 20 * 2 + 10 * 1


def test_pending_instances_are_placed_when_a_node_is_ready() -> None:
    """kubernetes#43709 and autoscaler#687: no second node for instances that fit on a new one."""
    small = pool(nodes=1, room=2)
    small.request(4, 0.0)
    settings = Cluster(
        nodes=1, instances_per_node=2, max_nodes=9, node_start=Fixed(value=Seconds(25))
    )
    scaler = ClusterAutoscaler(settings)
    assert scaler.scan(10.0, small.pending, small.nodes).add == 1
    small.nodes.add(10.0, 35.0)
    assert scaler.scan(20.0, small.pending, small.nodes).add == 0
    assert scaler.scan(30.0, small.pending, small.nodes).add == 0
    small.advance(40.0)
    assert small.pending == 0
    assert scaler.scan(40.0, small.pending, small.nodes).add == 0
