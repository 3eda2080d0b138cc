"""The footer of a Parquet file: as pyarrow reads it, and no damage of it ends the process."""

import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdtrace.readers.io.footer import RowGroup, row_groups

LISTS = pa.table({"k": [[1, 2], [3], None] * 40, "x": [0.5] * 120})
#: Reads a file with two bits of each byte of its footer turned round, one at a time.
FLIPS = """
import struct, sys
from pathlib import Path
from sdtrace.limits import USUAL
from sdtrace.readers.io.checksum import _pages_have
from sdtrace.readers.io.row_groups import frames
path = Path(sys.argv[1])
sound = path.read_bytes()
size = struct.unpack("<I", sound[-8:-4])[0]
read = 0
for at in range(len(sound) - 8 - size, len(sound) - 8):
    for bit in (1, 4):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1:])
        read += sum(hasattr(one, "height") for one in frames(str(path), path, 1000, USUAL))
        _pages_have(path)
print("read", read)
"""


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("rows", [7, 1000])
def test_as_pyarrow_reads_it(tmp_path: Path, rows: int, dictionary: bool, checksum: bool) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(LISTS, path, row_group_size=rows, use_dictionary=dictionary, write_page_checksum=checksum)
    known = pq.ParquetFile(path).metadata
    expected = []
    for group in (known.row_group(i) for i in range(known.num_row_groups)):
        columns = [group.column(j) for j in range(group.num_columns)]
        entries = sum(max(8 * c.num_values, c.total_uncompressed_size) for c in columns)
        first = min(p for p in (columns[0].dictionary_page_offset, columns[0].data_page_offset) if p)
        expected.append(RowGroup(group.num_rows, entries, first))
    assert row_groups(path) == expected


@pytest.mark.slow
def test_no_flipped_bit_of_it_ends_the_process(tmp_path: Path) -> None:
    """A histogram of levels whose length does not fit the schema ended it: pyarrow throws where nothing catches."""
    path = tmp_path / "t.parquet"
    pq.write_table(LISTS.select(["k"]).slice(0, 6), path, store_schema=False, use_dictionary=False)
    done = subprocess.run([sys.executable, "-c", FLIPS, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[-300:]) == (0, "")
    assert int(done.stdout.split()[1]) > 100  # what is not damaged is read


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x15",  # a field without its value
        b"\x19\xfc\xff\xff\xff\xff\x0f",  # a list of four thousand million structs
        b"\x1c" * 5000,  # structs in structs
        b"\x18\xff\xff\xff\xff\x0f",  # a text beyond the end
        b"\x15" + b"\xff" * 30,  # a number without an end
        b"\x00",  # no row groups
    ],
)
def test_a_footer_that_is_none(tmp_path: Path, footer: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
    with pytest.raises(ValueError, match="the footer is damaged"):
        row_groups(path)


@pytest.mark.parametrize("text", [b"", b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"no Parquet at all"])
def test_a_file_without_one(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(text)
    with pytest.raises(ValueError, match="the footer is damaged"):
        row_groups(path)
