"""Run by Debian's Python, which has QGIS: `sites URL PAGE_SIZE` or `map URL WEST SOUTH EAST NORTH`; answers in JSON."""

from __future__ import annotations

import json
import sys

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileLayer,
)
from qgis.PyQt.QtCore import QSize, Qt

SIDE = 256  # of the map, in pixels


def sites(url: str, page_size: str) -> list[object]:
    """Each feature's geometry and attributes."""
    layer = QgsVectorLayer(f"url='{url}/ogc' typename='sites' pageSize='{page_size}'", "sites", "OAPIF")
    names = layer.fields().names()
    return [
        {
            "geometry": feature.geometry().asWkb().data().hex(),
            "properties": {name: plain(feature[name]) for name in names},
        }
        for feature in layer.getFeatures()
    ]


def plain(value: object) -> object:
    """Without Qt's own types: a null, and a time of day."""
    if type(value).__name__ == "QVariant":
        return None
    return value.toPyDateTime().isoformat() if hasattr(value, "toPyDateTime") else value


def drawn(url: str, *sides: str) -> int:
    """How many pixels of a map of the tiles are drawn upon; the sides are in metres of Web Mercator."""
    layer = QgsVectorTileLayer(f"type=xyz&zmin=0&zmax=22&url={url}/tiles/sites/{{z}}/{{x}}/{{y}}.mvt", "sites")
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    settings.setExtent(QgsRectangle(*(float(side) for side in sides)))
    settings.setOutputSize(QSize(SIDE, SIDE))
    settings.setBackgroundColor(Qt.transparent)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    return sum(image.pixelColor(x, y).alpha() > 0 for x in range(SIDE) for y in range(SIDE))


application = QgsApplication([], False)
application.initQgis()
what, *arguments = sys.argv[1:]
sys.stdout.write(json.dumps(sites(*arguments) if what == "sites" else drawn(*arguments)))
application.exitQgis()
