"""Interactive 3D segmentation of point clouds for robots: click, and get the object."""

from pkgutil import extend_path

# The generated message modules (iseg3d_ros.msg, iseg3d_ros.srv) may live in another folder of the same name.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
