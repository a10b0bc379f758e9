"""The generated checks are those of the schemas at hand, also in a checkout where nobody ran `make` since."""

from pyoci.validate import generate


def pytest_configure() -> None:
    texts = dict(zip(("_accept.py", "_accept_rest.py"), generate.accept_sources(generate.bundle(generate.SCHEMAS))))
    for name, text in texts.items():
        path = generate.HERE / name
        if not path.exists() or path.read_text("utf-8") != text:
            generate.write()
            return
    if not (generate.HERE / "_schemas.json").exists():
        generate.write()
