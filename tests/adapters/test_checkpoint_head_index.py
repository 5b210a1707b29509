"""The scratch index: what was signed last of each stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.checkpoint import StreamHead
from roadcall_payments.checkpoint_files.head_index import ScratchHeadIndex
from roadcall_payments.journal import Head
from roadcall_payments.ports import LastSigned

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
CHECKPOINTS = st.lists(st.dictionaries(NAMES, st.integers(1, 2**53 - 1), max_size=6), max_size=6)


@given(CHECKPOINTS, st.sets(NAMES, max_size=4))
async def test_each_stream_stands_where_the_newest_checkpoint_that_names_it_says(
    checkpoints: list[dict[str, int]], unknown: set[str]
) -> None:
    index = ScratchHeadIndex()
    expected: dict[str, LastSigned] = {}
    for number, seqs in enumerate(checkpoints, start=1):
        heads = [StreamHead(stream, Head(seq, f"{seq:064x}")) for stream, seq in seqs.items()]
        await index.add(number, heads)
        expected |= {one.stream: LastSigned(number, one.head) for one in heads}
    assert await index.find([*expected, *unknown]) == expected


async def test_a_new_index_knows_nothing_and_shares_nothing() -> None:
    first, second = ScratchHeadIndex(), ScratchHeadIndex()
    await first.add(1, [StreamHead("payment/a", Head(1, "a" * 64))])
    assert await second.find(["payment/a"]) == {}
