"""Which clips are a shard's: all of them, each once, and none moves when a clip comes."""

import itertools

import pytest

from ferrari.ledger.shards import Shard, ShardError

CLIPS = [f"clip-{n:010x}" for n in range(400)]


def shards(count):
    return [Shard(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_each_clip_is_in_one_shard(count):
    parts = [shard.clips(CLIPS, {}) for shard in shards(count)]
    assert sorted(clip for part in parts for clip in part) == CLIPS
    assert min(map(len, parts)) > 0.5 * len(CLIPS) / count


def test_a_clip_that_comes_moves_no_other():
    for shard in shards(5):
        before = shard.clips(CLIPS, {})
        assert shard.clips([*CLIPS, "new-0123456789"], {}) - {"new-0123456789"} == before


def test_the_parts_are_the_same_for_ever():
    """Machines that are not at work at once, and later versions, have to agree."""
    assert sorted(Shard(1, 3).clips(CLIPS[:12], {})) == EXPECTED


#: The first eight bytes of the SHA-256 of these ids, as a number, are a multiple of 3.
EXPECTED = [CLIPS[n] for n in (1, 2, 6, 10, 11)]


def test_small_copies_go_where_their_clip_goes():
    twins = {f"small-{n:010x}": [CLIPS[n]] for n in range(40)}
    everything = [*CLIPS, *twins]
    for shard in shards(7):
        own = shard.clips(everything, twins)
        assert all((copy in own) == (clip in own) for copy, (clip,) in twins.items())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_clips_that_share_a_copy_go_together(order):
    """In whichever order the copies come: two groups that have been told are joined by a third."""
    a, b, c, d = CLIPS[:4]
    pairs = [[a, b], [b, c], [c, d]]
    twins = {f"copy-{place}": pairs[number] for place, number in enumerate(order)}
    everything = [*CLIPS, *twins]
    parts = [shard.clips(everything, twins) for shard in shards(9)]
    (of_all,) = [part for part in parts if a in part]
    assert {a, b, c, d, *twins} <= of_all


def test_what_is_written_is_what_is_meant():
    assert Shard.of(None) is None
    assert Shard.of("3/16") == Shard(3, 16) and str(Shard(3, 16)) == "3/16"


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", " 1/4"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ShardError, match="names no part"):
        Shard.of(text)


def test_a_shard_does_what_is_its_own_and_nothing_else():
    own = {"a-0000000001", "b-0000000002"}
    Shard(1, 2).require_own([("probe", "a-0000000001"), ("mask", "b-0000000002")], own)
    others = [("who", None), ("probe", "c-0000000003"), ("probe", "a-0000000001")]
    with pytest.raises(ShardError, match=r"shard 1/2 .*: probe of c-0000000003, who\. Run") as said:
        Shard(1, 2).require_own(others, own)
    assert "`pins`" in str(said.value)
    with pytest.raises(ShardError, match="and 2 more"):
        Shard(1, 2).require_own([("mask", f"d-000000000{n}") for n in range(6)], own)
