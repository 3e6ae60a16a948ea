"""A tank of water: it stands for your game engine or C++ program, and knows nothing of Gymnasium, Ray or NumPy.

    python simulator.py 5000             serves the environment that listens at port 5000 of this machine
    python simulator.py --listen 5000    listens there itself, and serves all environments that come

It speaks the protocol of kit/external/PROTOCOL.md.
"""

import json
import math
import random
import socket
import struct
import sys
import threading

HELLO = {
    "protocol": 1,
    "observation_space": {"Box": {"low": [0.0], "high": [1.0], "shape": [3], "dtype": "float32"}},
    "action_space": {"Discrete": {"n": 3, "start": 0, "dtype": "int64"}},
}
INFLOW = 0.08  # of the open valve, in tanks a second
TURNS = (-0.1, 0.0, 0.1)  # of the valve by each action: less, as it is, more


class Tank:
    """One tank; level, mark and valve are parts of what is full, or open."""

    def __init__(self, leak):
        self.leak = leak

    def reset(self, seed):
        chance = random.Random(seed)
        self.level, self.mark, self.valve = chance.uniform(0.2, 0.8), chance.uniform(0.3, 0.7), chance.random()
        return {"observation": [self.level, self.mark, self.valve]}

    def step(self, action):
        self.valve = min(max(self.valve + TURNS[action], 0.0), 1.0)
        self.level += INFLOW * self.valve - self.leak * math.sqrt(self.level)
        over = not 0.05 < self.level < 1.0  # dry, or flooded
        self.level = min(max(self.level, 0.0), 1.0)
        reward = -1.0 if over else 1.0 - 2.0 * abs(self.level - self.mark)
        observation = [self.level, self.mark, self.valve]
        return {"observation": observation, "reward": reward, "terminated": over, "truncated": False}


def serve(connection):
    """Answers one environment, until it closes the connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rwb") as stream:
        while header := stream.read(4):
            message = json.loads(stream.read(int.from_bytes(header, "big")))
            if message["type"] == "hello":
                tank, answer = Tank(**message["settings"]), HELLO
            elif message["type"] == "reset":
                answer = tank.reset(message["seed"])
            else:
                answer = tank.step(message["action"])
            text = json.dumps(answer).encode()
            stream.write(struct.pack(">I", len(text)) + text)
            stream.flush()


if __name__ == "__main__":
    if sys.argv[1] == "--listen":
        with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as listener:
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    serve(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
