"""The dataset as MLCommons Croissant 1.1: JSON-LD for dataset loaders and catalogues.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html

All paths are relative to the description, which is in the dataset's folder. The images and masks
described are those of one package, so refused ones are not among them. Their columns are joined
from the final table by the item in the file's name. `mlcroissant` supports one join per record set,
so images and masks are two sets, each with all columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ferrari.ledger.columns import KINDS, WHOLE
from ferrari.ledger.stages import FINAL

VERSION = "http://mlcommons.org/croissant/1.1"
#: Columns of the final table that are fields, and what they hold; the rest is the pipeline's own.
_MEANINGS = {
    "caption": "caption: subject token, class, framing, background",
    "video": "id of the clip; keep the images of one clip on one side of a split",
    "kind": "kind of background: flat, noise, environment or synthetic",
    "caption_source": "override: a person wrote the caption; else template or transformers",
    "framing": "close-up, half body or full body",
    "background": "the background in words, as in the caption",
    "width": "px, of the final image",
    "height": "px, of the final image",
    "sha256": "SHA-256 of the final image's file",
    "mask_sha256": "SHA-256 of the final mask's file",
}
#: The data type and the meaning of each field.
FIELDS = {
    name: ("sc:Integer" if KINDS[name] == WHOLE else "sc:Text", meaning)
    for name, meaning in _MEANINGS.items()
}
#: Patterns of a package's images and of its masks, by format; the first that is made is described.
#: Some readers let `*` match `/` too. So where masks lie in a folder below the images, the pattern
#: of the images excludes names that begin like that folder's.
LAYOUTS = {
    "kohya": (
        [f"{FINAL}/kohya/img/*/*.png", f"{FINAL}/kohya/val/img/*.png"],
        [f"{FINAL}/kohya/mask/*.png", f"{FINAL}/kohya/val/mask/*.png"],
    ),
    "imagefolder": (
        [
            f"{FINAL}/imagefolder/{split}/{'masks/'[:n]}[!{'masks/'[n]}]*.png"
            for split in ("train", "validation")
            for n in range(len("masks/"))
        ],
        [f"{FINAL}/imagefolder/{split}/masks/*.png" for split in ("train", "validation")],
    ),
    "dreambooth": (
        [f"{FINAL}/dreambooth/instance/*.png", f"{FINAL}/dreambooth/val/images/*.png"],
        [f"{FINAL}/dreambooth/masks/*.png", f"{FINAL}/dreambooth/val/masks/*.png"],
    ),
    **{
        name: (
            [f"{FINAL}/{name}/images/*.png", f"{FINAL}/{name}/val/images/*.png"],
            [f"{FINAL}/{name}/masks/*.png", f"{FINAL}/{name}/val/masks/*.png"],
        )
        for name in (
            *("aitoolkit", "simpletuner", "diffusionpipe", "musubi"),
            *("llava", "llamafactory", "trl", "textualinversion"),
        )
    },
}
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
    *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
    *("jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)


def described_package(formats: Iterable[str]) -> str | None:
    """The package to describe, of those that are made; None where none has a known layout.

    Packages without one hold many images in a file, or masks whose names no join can tell apart.
    """
    formats = list(formats)
    return next((name for name in LAYOUTS if name in formats), None)


def describe(about: Mapping, package: str | None, final_csv: Mapping, reviewed: str = "") -> dict:
    """The description of a package (a key of LAYOUTS), or of the final table alone.

    `about` is the configuration's section; `final_csv` is {path, sha256, bytes} of the final table,
    its path relative to the dataset; `reviewed` says what a person decided.
    """
    table = _table("final.csv", final_csv, "each image that was considered, with its verdict")
    description = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        **_about(about),
        **({"rai:dataAnnotationProtocol": reviewed} if reviewed else {}),
    }
    if package is None:
        return {**description, "distribution": [table], "recordSet": [_rows()]}
    images, masks = LAYOUTS[package]
    return {
        **description,
        "distribution": [
            table,
            _files("image-files", images, "the images: RGB"),
            _files("mask-files", masks, "their masks: white is the subject"),
        ],
        "recordSet": [
            _records("images", "image", "image-files", "the final images"),
            _records("masks", "mask", "mask-files", "the masks of the final images"),
        ],
    }


def _about(about: Mapping) -> dict:
    known = {
        "name": about["name"],
        "description": about["description"],
        "license": about["licence"],
        "url": about["url"],
        "version": about["version"],
        "datePublished": about["date_published"],
        "citeAs": about["cite_as"],
        "creator": {"@type": "Person", "name": about["creator"]} if about["creator"] else None,
    }
    return {key: value for key, value in known.items() if value}


def _table(name: str, file: Mapping, text: str) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": text,
        "contentUrl": file["path"],
        "contentSize": f"{file['bytes']} B",
        "encodingFormat": "text/csv",
        "sha256": file["sha256"],
    }


def _files(name: str, patterns: list[str], text: str) -> dict:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": text,
        "encodingFormat": "image/png",
        "includes": patterns if len(patterns) > 1 else patterns[0],
    }


def _records(name: str, content: str, files: str, text: str) -> dict:
    """A record set of files: for each its item, its pixels and its columns of the final table."""
    source = {"fileSet": {"@id": files}}
    item = _field(name, "item", "sc:Text", "id of the image; names its clip, frame, crop, variant")
    item["source"] = {
        **source,
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": r"^([^.]*)(?:\.png)?$"},  # mlcroissant applies it twice
    }
    item["references"] = _column("item")
    pixels = _field(name, content, "sc:ImageObject", f"the {content}'s pixels")
    pixels["source"] = {**source, "extract": {"fileProperty": "content"}}
    columns = [_field(name, column, *known) for column, known in FIELDS.items()]
    for field, column in zip(columns, FIELDS, strict=True):
        field["source"] = _column(column)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": text,
        "key": {"@id": f"{name}/item"},
        "field": [item, pixels, *columns],
    }


def _rows() -> dict:
    """The record set of the final table's rows, without pixels."""
    known = {"item": ("sc:Text", "id of the image"), **FIELDS}
    fields = [_field("images", column, *what) for column, what in known.items()]
    for field, column in zip(fields, known, strict=True):
        field["source"] = _column(column)
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "what was considered for the final set",
        "key": {"@id": "images/item"},
        "field": fields,
    }


def _field(records: str, name: str, kind: str, text: str) -> dict:
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{name}",
        "name": name,
        "description": text,
        "dataType": kind,
    }


def _column(name: str) -> dict:
    return {"fileObject": {"@id": "final.csv"}, "extract": {"column": name}}


def _context() -> dict:
    """The @context that the specification asks for, word for word."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        **{term: f"cr:{term}" for term in _TERMS},
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": {"@container": "@language"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "name": {"@container": "@language"},
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    }
