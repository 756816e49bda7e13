# -*- coding: utf-8 -*-
"""A small ray tracer in plain Python, for childminder's demo.

Three balls on a chequered floor, one light that goes round them: a film of 24 frames.  It runs on
Python 2.7 and on every Python 3, needs nothing but the standard library, and is slow enough to watch.
"""
from __future__ import division, print_function

import math
import os
import struct
import sys
import time
import zlib

try:
    import childminder
except ImportError:  # on its own: python raytracer.py
    childminder = None


class SceneError(Exception):
    """The scene cannot be rendered as it is."""


def warn(text):
    sys.stderr.write("warning: %s\n" % text)
    sys.stderr.flush()


# --- Vectors: plain tuples ---------------------------------------------------------------------------

def add(a, b):
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def sub(a, b):
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scale(a, k):
    return (a[0] * k, a[1] * k, a[2] * k)


def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(a):
    return scale(a, 1.0 / math.sqrt(dot(a, a)))


def mix(a, b, k):
    return (a[0] + (b[0] - a[0]) * k, a[1] + (b[1] - a[1]) * k, a[2] + (b[2] - a[2]) * k)


# --- The scene ---------------------------------------------------------------------------------------

class Ball(object):
    """A sphere: where, how large, what colour, and how much of a mirror from 0 to 1."""

    def __init__(self, name, centre, radius, colour, mirror):
        self.name, self.centre, self.radius = name, centre, radius
        self.colour, self.mirror = colour, mirror

    def __repr__(self):
        return "Ball(%r, radius=%g)" % (self.name, self.radius)

    def hit(self, origin, direction):
        """How far along the ray the ball is, or None."""
        to_centre = sub(self.centre, origin)
        along = dot(to_centre, direction)
        square = self.radius * self.radius - dot(to_centre, to_centre) + along * along
        if square < 0.0:
            return None
        root = math.sqrt(square)
        for distance in (along - root, along + root):
            if distance > 1e-4:
                return distance
        return None


class Scene(object):
    """The balls, the light and the film's length."""

    def __init__(self, frames):
        self.frames = frames
        self.balls = [
            Ball("ruby", (0.0, 1.0, 0.0), 1.0, (0.80, 0.06, 0.10), 0.25),
            Ball("silver", (1.9, 0.7, 0.9), 0.7, (0.85, 0.87, 0.90), 0.65),
            Ball("amber", (-1.7, 0.55, 1.2), 0.55, (0.95, 0.48, 0.05), 0.15),
        ]

    def at(self, frame):
        """Where eye and light are at a frame; the balls bounce in turn."""
        turn = 2.0 * math.pi * (frame - 1) / self.frames
        for place, ball in enumerate(self.balls):
            rise = abs(math.sin(turn + place * 2.1))
            ball.centre = (ball.centre[0], ball.radius + 0.55 * rise, ball.centre[2])
        light = unit((math.cos(turn) * 1.2, 1.5, math.sin(turn) * 1.2))
        eye = (math.sin(turn * 0.5) * 1.5, 1.7, 6.0)
        return eye, light


def sky(direction):
    k = max(0.0, min(1.0, 0.5 + 0.7 * direction[1]))
    return mix((0.98, 0.80, 0.62), (0.22, 0.38, 0.72), k)


def nearest(scene, origin, direction):
    """The first thing a ray meets: (distance, ball); the floor is None, the sky is no distance."""
    best, found = None, None
    if direction[1] < -1e-6:
        best = -origin[1] / direction[1]
    for ball in scene.balls:
        distance = ball.hit(origin, direction)
        if distance is not None and (best is None or distance < best):
            best, found = distance, ball
    return best, found


def trace(scene, light, origin, direction, depth):
    distance, ball = nearest(scene, origin, direction)
    if distance is None:
        return sky(direction)
    point = add(origin, scale(direction, distance))
    if ball is None:
        normal, mirror = (0.0, 1.0, 0.0), 0.08
        bright = (int(math.floor(point[0])) + int(math.floor(point[2]))) % 2
        colour = (0.82, 0.82, 0.80) if bright else (0.07, 0.09, 0.13)
    else:
        normal, mirror, colour = scale(sub(point, ball.centre), 1.0 / ball.radius), ball.mirror, ball.colour
    shade = max(0.0, dot(normal, light))
    if shade and nearest(scene, add(point, scale(normal, 1e-3)), light)[1] is not None:
        shade = 0.0
    lit = scale(colour, 0.25 + 0.75 * shade)
    if depth:
        bounced = sub(direction, scale(normal, 2.0 * dot(direction, normal)))
        seen = trace(scene, light, add(point, scale(normal, 1e-3)), bounced, depth - 1)
        lit = mix(lit, seen, mirror)
    if ball is not None and shade:
        half = unit(sub(light, direction))
        lit = add(lit, (0.8 * max(0.0, dot(normal, half)) ** 60,) * 3)
    # Far away the floor melts into the sky.
    return mix(lit, sky(direction), min(1.0, distance / 40.0) ** 2)


# --- Pictures ----------------------------------------------------------------------------------------

def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xffffffff)


def write_png(path, width, height, rows):
    """A true-colour PNG of rows of 3 bytes a pixel; whole or not at all."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    unfinished = path + ".part"
    with open(unfinished, "wb") as picture:
        picture.write(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b""))
    os.rename(unfinished, path)


def to_byte(value):
    return int(255.0 * min(1.0, max(0.0, value)) ** (1.0 / 2.2) + 0.5)


# --- What the job calls ------------------------------------------------------------------------------

# The marble has no size, which is what fails on purpose. At the prompt it can be given one:
#     raytracer.TEXTURES["marble"].update(width=64, height=64)
TEXTURES = {"marble": {"path": "/textures/marble.exr", "gamma": 2.2}}


def load(frames, folder):
    """Loads the scene: the slow thing that a child is kept alive for."""
    print("\x1b[1mloading\x1b[0m three balls and a floor")
    scene = Scene(frames)
    for ball in scene.balls:
        time.sleep(0.2)
        print("  %-8s radius %.2f  mirror %3d %%" % (ball.name, ball.radius, ball.mirror * 100))
    if not os.path.isdir(folder):
        os.makedirs(folder)
    return scene


def pixel(scene, eye, light, x, y, width, height, samples):
    """The colour of a pixel: the mean of a small grid of rays, which makes edges smooth."""
    total = (0.0, 0.0, 0.0)
    for sample in range(samples * samples):
        right = (x + (sample % samples + 0.5) / samples) / width
        down = (y + (sample // samples + 0.5) / samples) / height
        across, up = (right - 0.5) * 1.1 * width / height, (0.5 - down) * 1.1
        total = add(total, trace(scene, light, eye, unit((across - eye[0] * 0.16, up - 0.12, -1.0)), 2))
    return scale(total, 1.0 / (samples * samples))


def render(scene, frame, folder, width, height, samples=2):
    """Renders one frame into a PNG and says how it goes."""
    started = time.time()
    eye, light = scene.at(frame)
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            row.extend(to_byte(part) for part in pixel(scene, eye, light, x, y, width, height, samples))
        rows.append(row)
        if childminder and y % 8 == 7:
            childminder.progress((y + 1.0) / height)
        if (y + 1) % max(1, height // 4) == 0:
            print("frame %3d  row %3d/%d  %3d %%" % (frame, y + 1, height, 100 * (y + 1) // height))
    path = os.path.join(folder, "frame_%04d.png" % frame)
    write_png(path, width, height, rows)
    print("\x1b[32msaved\x1b[0m %s in %.2f s" % (path, time.time() - started))
    if frame % 7 == 0:
        warn("frame %d: the light is low, expect long shadows" % frame)
    if childminder:
        childminder.output(os.path.abspath(path))
    return path


def texture_size(name, ball):
    """How many pixels a texture has. Fails like a real scene does: one error on top of another."""
    texture = TEXTURES[name]
    print("\x1b[33mapplying\x1b[0m %s to %r" % (name, ball))
    warn("%s is older than the scene" % texture["path"])
    try:
        return texture["width"] * texture["height"]
    except KeyError as missing:
        problem = SceneError("the texture %s for %r has no %s" % (name, ball, missing))
        problem.__cause__ = missing  # "raise ... from ...", in words that Python 2 knows too
        raise problem


def dawdle(seconds):
    """Takes its time and says little: something to look at with the eyes of a wrangler."""
    if childminder:
        childminder.status("looking for a licence")
    warn("no licence yet, trying again")
    began = time.time()
    said = 0
    while time.time() - began < seconds:
        time.sleep(0.25)
        gone = time.time() - began
        if childminder:
            childminder.progress(0.5 * min(1.0, gone / seconds))
        if gone > (said + 1) * seconds / 3.0:
            said += 1
            print("still waiting (%d of 3)" % said)
    if childminder:
        childminder.status("rendering")


if __name__ == "__main__":
    render(load(24, "."), 1, ".", 384, 216)
