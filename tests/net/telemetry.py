"""telemetry.py SOCKET COMMAND…: asks DPDK's telemetry, one JSON answer a line; the greeting is the first."""
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.settimeout(5)
    s.connect(sys.argv[1])
    print(s.recv(65536).decode())
    for command in sys.argv[2:]:
        s.send(command.encode())
        print(s.recv(65536).decode())
