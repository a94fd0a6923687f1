"""What is gone on with after an interruption, and what is not."""

import os
import signal
import subprocess
import time
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import (PROGRAM, environment, reset_signals,
                                     snapshot)
from tests.faults.faults import (LOG, PART, FaultTestCase, leftovers, model,
                                 weights)

PART_FILE = ".out.pt" + PART
LOG_FILE = ".out.pt" + LOG
COMMAND = ("quantize", "model.safetensors", "-o", "out.pt", "-T", "1",
           "--chunk-size", "64K")


class ResumeTest(FaultTestCase):

    def setUp(self):
        super().setUp()
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           model())
        self.succeed(*COMMAND)
        self.whole = snapshot(self.folder)
        os.remove(self.path("out.pt"))

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def interrupt(self, left=6):
        """Leaves a run that has so many calls to go."""
        calls = self.count_calls(*COMMAND)
        os.remove(self.path("out.pt"))
        self.run_with_fault("kill", calls - left, *COMMAND)
        self.assertEqual(leftovers(self.folder), [LOG_FILE, PART_FILE])

    def test_what_is_finished_is_not_done_again(self):
        self.interrupt(left=44)
        out = self.succeed(*COMMAND)
        self.assertRegex(out, r"went on with an interrupted run, of which "
                              r"[2-9]\d% was finished")
        self.assertEqual(snapshot(self.folder), self.whole)
        self.assertNotIn("went on", self.succeed(*COMMAND, "--force"))

    def test_figures_are_those_of_a_whole_run(self):
        self.interrupt(left=44)
        went_on = self.succeed(*COMMAND)
        quality = [line for line in went_on.splitlines() if "SQNR" in line]
        anew = self.succeed(*COMMAND, "--force")
        self.assertTrue(quality)
        for line in quality:
            self.assertIn(line, anew)

    def test_any_number_of_threads_goes_on(self):
        for threads in ("1", "2", "3", "8"):
            with self.subTest(threads):
                self.interrupt(left=44)
                out = self.succeed(*COMMAND, "-T", threads)
                self.assertIn("went on", out)
                self.assertEqual(snapshot(self.folder), self.whole)
                os.remove(self.path("out.pt"))

    def test_damaged_parts_are_done_again(self):
        self.interrupt()
        part, log = self.read(PART_FILE), self.read(LOG_FILE)
        for begin in range(0, len(part), 1500):
            with self.subTest(begin):
                damaged = bytearray(part)
                damaged[begin] ^= 0x10
                self.write(PART_FILE, damaged)
                self.write(LOG_FILE, log)
                self.succeed(*COMMAND)
                got = snapshot(self.folder)
                if got != self.whole:
                    # Between payload: what no run writes.
                    self.fail("byte %d is wrong" % begin)
                os.remove(self.path("out.pt"))

    def test_lost_parts_are_done_again(self):
        self.interrupt()
        part, log = self.read(PART_FILE), self.read(LOG_FILE)
        for size in (0, 1, len(part) // 2, len(part) - 1):
            self.write(PART_FILE, part[:size])
            self.write(LOG_FILE, log)
            self.succeed(*COMMAND)
            self.assertEqual(snapshot(self.folder), self.whole)
            os.remove(self.path("out.pt"))

    def test_a_log_that_was_cut_or_damaged(self):
        self.interrupt()
        part, log = self.read(PART_FILE), self.read(LOG_FILE)
        logs = [log[:size] for size in range(0, len(log), 37)]
        logs += [log[:i] + b"\xff" + log[i + 1:] for i in range(0, len(log), 41)]
        logs += [log + log[-100:], b"{}", log * 2]
        for each in logs:
            self.write(PART_FILE, part)
            self.write(LOG_FILE, each)
            self.succeed(*COMMAND)
            self.assertEqual(snapshot(self.folder), self.whole)
            os.remove(self.path("out.pt"))

    def test_other_settings_begin_anew(self):
        for flags in (["--type", "int4"], ["--granularity", "tensor"],
                      ["--skip", "a.*"], ["--chunk-size", "128K"],
                      ["--to", "safetensors"]):
            with self.subTest(flags):
                expected = self.path("expected.pt")
                args = [expected if word == "out.pt" else word
                        for word in COMMAND]
                self.succeed(*args, *flags)
                self.interrupt()
                out = self.succeed(*COMMAND, *flags)
                self.assertNotIn("went on", out)
                self.assertEqual(self.read("out.pt"), self.read("expected.pt"))
                os.remove(self.path("out.pt"))
                os.remove(expected)
                self.assertEqual(leftovers(self.folder), [])

    def test_a_changed_input_begins_anew(self):
        self.interrupt()
        changed = model()
        changed[0] = weights("x", 40, 512)._replace(name="a.weight")
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           changed)
        out = self.succeed(*COMMAND)
        self.assertNotIn("went on", out)
        went_on = self.read("out.pt")
        self.succeed(*COMMAND, "--force")
        self.assertEqual(self.read("out.pt"), went_on)

    def test_no_resume_leaves_nothing_and_takes_nothing(self):
        self.interrupt()
        out = self.succeed(*COMMAND, "--no-resume")
        self.assertNotIn("went on", out)
        self.assertEqual(snapshot(self.folder), self.whole)
        os.remove(self.path("out.pt"))
        before = snapshot(self.folder)
        calls = self.count_calls(*COMMAND, "--no-resume")
        os.remove(self.path("out.pt"))
        for at in range(calls - 3):
            process = self.run_with_fault(28, at, *COMMAND, "--no-resume")
            if process.returncode == 0:
                os.remove(self.path("out.pt"))
                continue
            self.assertEqual(process.returncode, 5, process.stderr)
            self.assertEqual(snapshot(self.folder), before)

    def test_an_error_of_the_input_leaves_nothing(self):
        tensors = model()
        tensors.append(make_checkpoints.floats(
            "z.weight", (16, 64), [1.0] * 1023 + [float("nan")]))
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           tensors)
        self.fail_with(3, *COMMAND, mentions=["z.weight", "NaN"])

    def test_parts_of_somebody_else_are_not_trusted(self):
        """A link in the place of the parts: to a file that must stay."""
        self.interrupt()
        precious = self.path("precious")
        with open(precious, "wb") as file:
            file.write(self.read(PART_FILE))
        os.remove(self.path(PART_FILE))
        os.symlink(precious, self.path(PART_FILE))
        content = self.read("precious")
        self.succeed(*COMMAND)
        self.assertEqual(self.read("precious"), content)
        os.remove(precious)
        self.assertEqual(snapshot(self.folder), self.whole)
        os.remove(self.path("out.pt"))
        # In the place of the log it is not followed either.
        self.interrupt()
        os.rename(self.path(LOG_FILE), precious)
        os.symlink(precious, self.path(LOG_FILE))
        content = self.read("precious")
        self.succeed(*COMMAND)
        self.assertEqual(self.read("precious"), content)

    def test_names_at_the_limit(self):
        for end in ("a", "b"):
            name = "n" * 250 + end + ".pt"
            args = [name if word == "out.pt" else word for word in COMMAND]
            self.run_with_fault("kill", 12, *args)
        self.assertEqual(len(leftovers(self.folder)), 4)
        for end in ("a", "b"):
            name = "n" * 250 + end + ".pt"
            args = [name if word == "out.pt" else word for word in COMMAND]
            self.assertIn("went on", self.succeed(*args))
        self.assertEqual(leftovers(self.folder), [])


class RunningTest(FaultTestCase):
    """Runs that are met while they last."""

    def setUp(self):
        super().setUp()
        make_checkpoints.write_sparse(self.path("model.safetensors"), 3)

    def start(self, *args):
        before = self.log_size()
        process = subprocess.Popen(
            [PROGRAM, "quantize", "model.safetensors", "-o", "out.pt", "-T",
             "1", "--chunk-size", "64K", "--progress", "none", *args],
            cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            preexec_fn=reset_signals)
        while self.log_size() < before + 1000:
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.002)
        return process

    def log_size(self):
        try:
            return os.path.getsize(self.path(LOG_FILE))
        except FileNotFoundError:
            return 0

    def test_an_interruption_says_how_to_go_on(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                process = self.start()
                process.send_signal(number)
                out, error = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 130, error)
                self.assertEqual(
                    error,
                    "monoquant: error: interrupted; what is finished is kept "
                    "in ./%s, the same command goes on from there\n" % PART_FILE)
                self.assertEqual(out, "")
                self.assertEqual(leftovers(self.folder), [LOG_FILE, PART_FILE])
        process = self.start()
        out, error = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, error)
        self.assertIn("went on", out)
        self.assertEqual(leftovers(self.folder), [])

    def test_two_runs_into_one_output(self):
        process = self.start()
        process.send_signal(signal.SIGSTOP)
        for extra in ([], ["--no-resume"], ["--force"], ["--type", "int4"]):
            other = self.run_cli("quantize", "model.safetensors", "-o",
                                 "./out.pt", "--chunk-size", "64K", *extra)
            self.check_message(other, 5, ["out.pt: another run is writing it",
                                          "choose another output"])
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, error)
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["model.safetensors", "out.pt"])


if __name__ == "__main__":
    unittest.main()
