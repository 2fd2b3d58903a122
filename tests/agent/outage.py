"""A long outage, by hand: `make outage SECONDS=600`.  Hosts record 2,000 requests/s each, one with a spool.

The collector is away for so long, comes back, and both ledgers are compared with what Forebay answers.
The memory that an outage took is what the host's resident set grew by since it began.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from faults.pipeline import Pipeline
from faulty_proxy import faulty_proxy
from test_outages import Host, counted


def resident(host: Host, what: str = "VmRSS:") -> int:
    status = Path(f"/proc/{host.process.pid}/status").read_text()
    return int(status.partition(what)[2].split()[0]) * 1024


def processor(host: Host) -> float:
    """Seconds of CPU."""
    fields = Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=600)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        pipeline, directory = Pipeline(Path(folder) / "data"), Path(folder)
        pipeline.start()
        with faulty_proxy(pipeline.port) as proxy:
            spools = {"memory": None, "spool": directory / "spool"}
            hosts = {
                name: Host(proxy.url, pipeline.token(graph=name), directory / f"{name}.ledger", spool, interval=5)
                for name, spool in spools.items()
            }
            time.sleep(15)
            before = {name: (resident(host), processor(host)) for name, host in hosts.items()}
            proxy.fault = "away"
            began, most, disk = time.monotonic(), dict.fromkeys(hosts, 0), 0
            while time.monotonic() < began + seconds:
                time.sleep(0.5)
                disk = max(disk, sum(path.stat().st_size for path in directory.glob("spool/*/*.spool")))
                most = {name: max(most[name], resident(host)) for name, host in hosts.items()}
            used = {name: processor(host) - before[name][1] for name, host in hosts.items()}
            proxy.fault = ""
            time.sleep(15)
            for name, host in hosts.items():
                said = host.end()
                same = counted(pipeline, name) == host.ledger.clients()
                grown = (most[name] - before[name][0]) / 2**20
                print(f"{name}: {host.ledger.total():,} requests, the ledgers {'agree' if same else 'DIFFER'}; {said}")
                print(f"  during the outage: memory grew by {grown:.1f} MiB, {used[name] / seconds:.1%} of a core")
                assert same
                assert said["pending"] == 0
                assert grown < 32  # the bound of what is open
            print(f"most on disk: {disk:,} bytes")
        assert pipeline.stop() == 0


if __name__ == "__main__":
    main()
