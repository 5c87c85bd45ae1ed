"""Files and byte layouts: one format a module, `iseg3d_ros.cloud` chooses among those of clouds."""
