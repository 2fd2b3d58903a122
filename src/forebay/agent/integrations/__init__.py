"""One module for each server library; it imports that library, the rest of the agent does not."""


def missing(library: str, exc: ModuleNotFoundError) -> ImportError:
    """What a module of here raises where its library is not installed; `library` is also the name of our extra."""
    if exc.name is None or exc.name.partition(".")[0] != library:
        return exc
    return ImportError(f"this integration needs {library}: pip install 'forebay[{library}]'", name=exc.name)
