"""A large open model is asked about pictures of scores; what it says is kept where it agrees with the scores."""
