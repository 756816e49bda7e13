"""Renders the default cube with Cycles on the CPU, in Blender."""
import os

import bpy
import childminder


def prepare(width, height, samples):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False  # Debian's Blender is built without
    scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"


def render(frame, folder):
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.filepath = os.path.join(folder, "%04d.png" % frame)
    bpy.ops.render.render(write_still=True)
    childminder.output(scene.render.filepath)
    childminder.progress(1)
