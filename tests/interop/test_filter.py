"""RocketMQ's own filter library says what the golden file of SQL92 filters says, which the unit test
`broker/sql_filter` holds our own to."""

import os
import subprocess
import unittest

from apache import built, is_built

VERSION = "5.3.3"
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden", "broker", "sql_filter.txt")
ESCAPES = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\f": "\f", r"\s": " "}


def unescape(text):
    for escape, meaning in ESCAPES.items():
        text = text.replace(escape, meaning)
    return text


def golden():
    """(result, expression, property string) of each line."""
    properties = ""
    with open(GOLDEN, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("properties: "):
                pairs = unescape(line.removeprefix("properties: ")).split(";")
                properties = "".join(pair.replace("=", "\1", 1) + "\2" for pair in pairs)
            elif line and not line.startswith("#"):
                result, _, expression = line.partition(" ")
                yield result, unescape(expression.lstrip(" ")), properties


class FilterLibrary(unittest.TestCase):
    def test_the_golden_file_is_what_it_says(self):
        if not is_built(VERSION):
            self.skipTest(f"Java or Apache RocketMQ {VERSION} could not be had")
        rows = list(golden())
        self.assertGreater(len(rows), 300)
        asked = "".join(f"{expression.encode().hex()}\t{properties.encode().hex()}\n"
                        for _, expression, properties in rows)
        done = subprocess.run(
            ["java", "-XX:+UseSerialGC", "-cp", f"{built(VERSION)}/*",
             os.path.join(HERE, "filter", "Oracle.java")],
            input=asked, capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = done.stdout.splitlines()
        self.assertEqual(len(answers), len(rows))
        for answer, (result, expression, _) in zip(answers, rows):
            self.assertEqual(answer, result, expression)


if __name__ == "__main__":
    unittest.main()
