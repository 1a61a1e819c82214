from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("gaitpress", deadline=None, derandomize=True)
settings.load_profile("gaitpress")
