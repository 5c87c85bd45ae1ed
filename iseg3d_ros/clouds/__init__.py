"""One file format a module; `iseg3d_ros.cloud` chooses among them."""
