"""echo.py ADDRESS UDP-PORT TCP-PORT: gives back what it gets, as a service of the kernel beside the relay."""
import selectors
import socket
import sys

address, udp_port, tcp_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
poll = selectors.DefaultSelector()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, udp_port))
tcp = socket.create_server((address, tcp_port))
poll.register(udp, selectors.EVENT_READ)
poll.register(tcp, selectors.EVENT_READ)
while True:
    for key, _ in poll.select():
        if key.fileobj is udp:
            data, sender = udp.recvfrom(65536)
            udp.sendto(data, sender)
        elif key.fileobj is tcp:
            poll.register(tcp.accept()[0], selectors.EVENT_READ)
        else:
            data = key.fileobj.recv(65536)
            if data:
                key.fileobj.sendall(data)
            else:
                poll.unregister(key.fileobj)
                key.fileobj.close()
