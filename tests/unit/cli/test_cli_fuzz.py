"""Whatever is typed: an exit status and at most a line of error, never an exception or a traceback."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyoci.cli import main, table

# ps would start the host's program, and the last two would wait or read on their own.
NAMES = sorted(set(table.COMMANDS) - {"doctor", "ps", "validate", "stats", "events"})
FLAGS = sorted({f"{dash}{name}" for row in NAMES for name, _, _ in table.flags_of(row) for dash in ("-", "--")})
GLOBALS = [f"--{name}" for name, _, _ in table.GLOBAL]

# An argument is bytes: what is not UTF-8 arrives as these surrogates, and no NUL does.
STRAY = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
TEXT = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]) | STRAY, max_size=12)
WORD = st.one_of(
    st.sampled_from(["c1", "--", "-", "=", "-=", "--=x", "-e", "9", "SIGKILL", "", "../x", "true", "json"]),
    st.sampled_from(FLAGS),
    st.tuples(st.sampled_from(FLAGS), TEXT).map("=".join),
    TEXT,
)
GLOBAL = st.one_of(st.sampled_from(GLOBALS), st.tuples(st.sampled_from(GLOBALS), TEXT).map("=".join), TEXT)
LINE = st.tuples(st.lists(GLOBAL, max_size=3), st.lists(st.sampled_from(NAMES), max_size=1), st.lists(WORD, max_size=6))


@settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(LINE)
def test_any_command_line(runtime, environment, tmp_path, monkeypatch, capfd, line):
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    words = [word for part in line for word in part]
    status = main(words)
    _, err = capfd.readouterr()
    assert status in (0, 1, 3, 255) or (status == 2 and "validate" in words)  # a file that cannot be read
    assert "Traceback" not in err
    assert "internal error" not in err
    assert err.count("\n") == (status != 0)
