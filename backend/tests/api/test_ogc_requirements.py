"""Each requirement of a conformance class that the service declares has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

from app.api.ogc.documents import CONFORMANCE

# Of OGC 17-069r4, 18-058r1, 19-079r2 and 20-002; what is only said of servers with other encodings, dimensions,
# functions or parts stands out. Part 4 calls its first requirement core/methods, which Part 1's class has not.
REQUIREMENTS = {
    "ogcapi-features-1/1.0/conf/core": """
        root-op root-success api-definition-op api-definition-success conformance-op conformance-success http
        query-param-unknown query-param-invalid crs84 fc-md-op fc-md-success fc-md-links fc-md-items fc-md-items-links
        fc-md-extent sfc-md-op sfc-md-success fc-op fc-limit-definition fc-limit-response-1 fc-bbox-definition
        fc-bbox-response fc-time-definition fc-time-response fc-response fc-links fc-rel-type fc-timeStamp
        fc-numberMatched fc-numberReturned f-op f-success f-links""",
    "ogcapi-features-1/1.0/conf/oas30": """
        oas-definition-1 oas-definition-2 oas-impl completeness exceptions-codes security""",
    "ogcapi-features-1/1.0/conf/html": "definition content",
    "ogcapi-features-1/1.0/conf/geojson": "definition content",
    "ogcapi-features-2/1.0/conf/crs": """
        crs-uri fc-md-crs-list fc-md-crs-list-global fc-md-storageCrs fc-md-storageCrs-valid-value fc-crs-definition
        fc-crs-valid-value fc-crs-default-value fc-crs-action crs-exception fc-bbox-crs-definition
        fc-bbox-crs-valid-value fc-bbox-crs-default-value fc-bbox-crs-action bbox-crs-exception ogc-crs-header
        ogc-crs-header-value geojson""",
    "ogcapi-features-3/1.0/conf/queryables": """
        get-queryables-op get-queryables-response queryables-link expression-construction""",
    "ogcapi-features-3/1.0/conf/queryables-query-parameters": "parameters",
    "ogcapi-features-3/1.0/conf/filter": """
        filter-param filter-lang-param filter-crs-wgs84 filter-crs-param mixing-expressions response""",
    "ogcapi-features-3/1.0/conf/features-filter": """
        get-queryables-op queryables-link filter-param filter-lang-param filter-crs-param response""",
    "ogcapi-features-4/1.0/conf/create-replace-delete": """
        methods post-op post-body post-content-type post-response post-response-rid put-op put-body put-content-type
        put-response put-rid put-rid-exception delete-op delete-response options-op options-response""",
    "ogcapi-features-4/1.0/conf/update": "methods update-patch-op update-patch-body update-patch-response rid",
    "ogcapi-features-4/1.0/conf/optimistic-locking-etags": """
        get-etag-response put-etag-response patch-etag-response ifmatch-put-op ifmatch-put-eval ifmatch-patch-op
        ifmatch-patch-eval""",
    "ogcapi-features-4/1.0/conf/features": """
        resources-endpoint resource-endpoint collection-endpoint default-crs content-crs-header crs-other-crs""",
}


def test_every_requirement_has_a_test() -> None:
    assert {f"http://www.opengis.net/spec/{name}" for name in REQUIREMENTS} == set(CONFORMANCE)
    required = {
        f"/req/{conformance.rpartition('/')[2]}/{name}"
        for conformance, names in REQUIREMENTS.items()
        for name in names.split()
    }
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_ogc_*.py"))
    assert set(re.findall(r'"(/req/[\w/-]+)"', tests)) == required
