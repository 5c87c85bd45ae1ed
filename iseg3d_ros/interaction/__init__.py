"""One operator's work: objects, clicks, clouds and results as plain classes. No ROS, no web, no thread."""
