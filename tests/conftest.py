from hypothesis import settings

# Timings on a shared machine say nothing about the code, so a slow example is no failure.
settings.register_profile("course", deadline=None, print_blob=True)
settings.load_profile("course")
