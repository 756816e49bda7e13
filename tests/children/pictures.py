"""Writes pictures in every format that this Blender has, whole and cut."""
import os

import bpy
import childminder


def prepare(width, height):
    global IMAGE
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False  # Debian's Blender is built without
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.use_file_extension = False
    IMAGE = bpy.data.images.new("picture", width, height, float_buffer=True)


def write(kind, codec, path):
    scene = bpy.context.scene
    settings = scene.render.image_settings
    try:
        settings.file_format = kind
        if codec and kind.startswith("OPEN_EXR"):
            settings.exr_codec = codec
    except TypeError as error:
        childminder.status("not offered: %s" % error)
        return
    if kind == "OPEN_EXR_MULTILAYER":
        scene.render.filepath = path
        bpy.ops.render.render(write_still=True)
    else:
        IMAGE.save_render(path, scene=scene)
    childminder.output(path)


def cut(path, keep):
    os.truncate(path, keep if keep >= 0 else os.path.getsize(path) + keep)
