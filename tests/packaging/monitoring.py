# SPDX-License-Identifier: Apache-2.0
"""A host that is watched: processes, `unknot watch`, and the real Prometheus with the example's configuration, on free ports of
the loopback address."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

TCMALLOC = "libtcmalloc.so.4"


def missing(unknot):
    """What is not here, or nothing."""
    if not shutil.which("prometheus"):
        return "prometheus"
    if b"watch" not in subprocess.run([unknot, "--help"], capture_output=True).stdout:
        return "unknot watch"
    words = [unknot, "watch", "--listen", f"127.0.0.1:{free_port()}", "--count", "1"]
    if b"without prometheus-cpp" in subprocess.run(words, capture_output=True).stderr:
        return "prometheus-cpp (when the command was built)"
    said = subprocess.run(["/bin/true"], env={"LD_PRELOAD": TCMALLOC}, capture_output=True).stderr
    return f"{TCMALLOC} (package libgoogle-perftools4)" if said else ""


def again(deadlock):
    """The reproducer over and over: it holds what it allocates, so that one long run of it would take all memory."""
    return ["sh", "-c", 'while "$0" malloc 100000; do :; done', deadlock]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Monitored:
    def __init__(self, examples, unknot, interval_s):
        self.work = tempfile.mkdtemp()
        self.processes = []
        self.port = free_port()
        watched = free_port()
        self.watch = self.start([unknot, "watch", "--listen", f"127.0.0.1:{watched}", "--interval", str(interval_s)], "watch")
        folder = os.path.join(examples, "prometheus")
        with open(os.path.join(folder, "prometheus.yml"), encoding="utf-8") as file:
            config = file.read()
        changes = {"127.0.0.1:9464": f"127.0.0.1:{watched}", "interval: 30s": f"interval: {interval_s}s",
                   "unknot.rules.yml": os.path.abspath(os.path.join(folder, "unknot.rules.yml"))}
        for before, after in changes.items():
            assert before in config, f"prometheus.yml has no {before}"
            config = config.replace(before, after)
        path = os.path.join(self.work, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.prometheus = self.start(["prometheus", f"--config.file={path}", f"--web.listen-address=127.0.0.1:{self.port}",
                                      f"--storage.tsdb.path={self.work}/data"], "prometheus")

    def start(self, words, name, **environment):
        """Ends with this process, however that ends."""
        words = ["setpriv", "--pdeathsig", "KILL", *words]
        with open(os.path.join(self.work, name), "wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **environment})
        self.processes.append(process)
        return process

    def ask(self, what, **parameters):
        """The answer's data; None while Prometheus does not answer yet."""
        for one in (self.watch, self.prometheus):
            if one.poll() is not None:
                raise SystemExit(f"{one.args[3]} has ended: " + "".join(self.log(name)[-600:] for name in ("watch", "prometheus")))
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise SystemExit(f"Prometheus refuses {parameters}: {error.read().decode()}") from error
        except urllib.error.URLError:
            return None

    def query(self, expression):
        answer = self.ask("query", query=expression)
        return answer["result"] if answer else []

    def log(self, name):
        with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.work)
