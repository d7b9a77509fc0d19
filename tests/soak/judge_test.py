#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What counts as flat, and what is held against a load."""

import random
import unittest

import judge


def samples(climb_kb, count=96):
    """10 MiB that swing by 2 MiB and climb by so much from the middle third to the last."""
    numbers = random.Random(1)
    return [{"resident_kb": 10240 + numbers.uniform(-1024, 1024) + climb_kb * (3 * i / count)} for i in range(count)]


class Ended:
    """A load that has ended, with a report that is good but for `more`."""

    allocator = "libtcmalloc.so.4"

    def __init__(self, figures=None, **more):
        self.done = {"loads": 7} if figures is None else figures
        self.counts = dict.fromkeys(judge.TOTALS, 0) | {"diverted": 5, "deferred": 3, "drained": 3} | more

    def figures(self):
        return self.done

    def report(self):
        return self.counts


def verdict(load, some=(), minutes=60, diverts=True):
    return judge.result(load, list(some), None, minutes, diverts)["verdict"]


class Judge(unittest.TestCase):
    def test_a_line_that_only_swings_is_flat(self):
        self.assertTrue(judge.line(samples(0), "resident_kb")["is_flat"])

    def test_a_line_that_climbs_is_not(self):
        self.assertFalse(judge.line(samples(3072), "resident_kb")["is_flat"])
        self.assertIn("resident_kb not flat", verdict(Ended(), samples(3072)))

    def test_a_line_that_falls_is_flat(self):
        self.assertTrue(judge.line(samples(-2048), "resident_kb")["is_flat"])

    def test_too_few_samples_are_no_line(self):
        self.assertIsNone(judge.line(samples(0, 5), "resident_kb"))

    def test_a_good_load_is_good(self):
        self.assertEqual(verdict(Ended(), samples(0)), "good")

    def test_frees_that_were_not_drained_are_told(self):
        self.assertEqual(verdict(Ended(drained=2)), "3 deferred, 2 drained")

    def test_what_was_forwarded_is_told(self):
        self.assertEqual(verdict(Ended(forwarded=1)), "1 forwarded")

    def test_only_the_fuzzer_may_fail_to_get_memory(self):
        self.assertEqual(verdict(Ended(failed=4)), "4 failed")
        self.assertEqual(verdict(Ended({"operations": 9}, failed=4)), "good")

    def test_a_load_that_did_nothing_is_not_good(self):
        self.assertIn("got nothing done", verdict(Ended({"loads": 0, "p99_us": 3.0})))
        self.assertIn("diverted nothing", verdict(Ended(diverted=0)))

    def test_walks_alone_divert_nothing(self):
        self.assertEqual(verdict(Ended(diverted=0, deferred=0, drained=0), diverts=False), "good")
        self.assertEqual(verdict(Ended(), diverts=False), "5 diverted, 3 deferred by walks alone")


if __name__ == "__main__":
    unittest.main()
