"""What is told of who the subject is, as a file."""

import pytest

from ferrari.ledger.tables import LedgerError
from ferrari.subject import answer_file
from ferrari.subject.answer_file import Told


def test_an_answer_is_read_as_it_was_written(tmp_path):
    told = Told("cluster", True, False, "Änne, in 3 of 4 clips", "few", ("a", "b"), ("c",))
    answer_file.write(tmp_path / "who.json", told)
    assert answer_file.read(tmp_path / "who.json") == told


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"said": "x", "named": true, "voters": 3}'])
def test_an_answer_that_is_none_is_told_with_what_to_do(tmp_path, text):
    path = tmp_path / "who.json"
    path.write_text(text)
    with pytest.raises(LedgerError, match="delete it"):
        answer_file.read(path)
