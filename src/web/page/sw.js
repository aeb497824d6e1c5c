// It shows notifications, once there are any.
