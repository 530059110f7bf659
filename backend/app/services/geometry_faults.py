"""What can be wrong with a geometry or a place, in words."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What can be wrong, as an English template; the name in lower case is the problem's `type`."""

    NOT_AN_OBJECT = "A geometry is an object with a type, not {got}."
    CRS_GIVEN = (
        "GeoJSON is always in WGS 84 (RFC 7946, section 4). Leave crs out; give longitude and latitude in degrees."
    )
    TYPE_UNKNOWN = "{got} is not a type of geometry. Use one of: {allowed}."
    MEMBER_MISSING = "A {type} needs the member {member}."
    NOT_AN_ARRAY = "This must be an array, not {got}. How deep arrays are nested is in RFC 7946, section 3.1."
    EMPTY = "This is empty; a geometry has at least one position."
    NOT_A_NUMBER = "A coordinate is a number, not {got}."
    NOT_FINITE = "A coordinate is a finite number; NaN, Infinity and numbers that a double cannot hold are not stored."
    POSITION_SHORT = "A position has two numbers, longitude and latitude; this one has {count}."
    POSITION_NOT_2D = "A position has two numbers, longitude and latitude; this one has {count}. Leave altitudes out."
    OUT_OF_RANGE = "The position {lon}, {lat} is out of range: longitude is within ±180 degrees, latitude within ±90."
    SWAPPED = "The position {lon}, {lat} is out of range: longitude comes first. Are the two swapped?"
    BEYOND_ANTIMERIDIAN = (
        "The longitude {lon} is out of range. "
        "Cut what crosses the antimeridian in two at ±180 (RFC 7946, section 3.1.9)."
    )
    ANTIPODAL = (
        "The position {lon}, {lat} is opposite to the one before it, {first_lon}, {first_lat}, on the Earth: "
        "the line between them could go any way. Put a position between them."
    )
    LINE_SHORT = "A line has at least 2 positions; this one has {count}."
    LINE_WITHOUT_LENGTH = "A line has at least 2 different positions; this one stays at {lon}, {lat}."
    RING_SHORT = "A ring has at least 4 positions, of which the last repeats the first; this one has {count}."
    RING_UNCLOSED = (
        "The ring is not closed: it starts at {first_lon}, {first_lat} and ends at {lon}, {lat}. "
        "Repeat the first position at the end."
    )
    RING_WITHOUT_AREA = "The ring encloses no area: all its positions are on one line."
    RING_DUPLICATE = "The same ring is there twice."
    SELF_CROSSING = "The boundary crosses itself, or runs along itself, at {lon}, {lat}."
    RING_TOUCHES_ITSELF = "The ring touches itself at {lon}, {lat}. Make the part that it cuts off a hole or a polygon."
    HOLE_OUTSIDE = "The hole is outside its polygon's outer ring at {lon}, {lat}."
    HOLES_NESTED = "The hole is inside another hole at {lon}, {lat}."
    POLYGONS_NESTED = "The polygon is inside another polygon of the same geometry at {lon}, {lat}."
    INTERIOR_DISCONNECTED = "Holes cut the polygon in two at {lon}, {lat}. Make it two polygons."
    INVALID = "The geometry is not valid at {lon}, {lat}."
    TOO_DEEP = "GeometryCollections may be nested {limit} deep at most."
    TOO_MANY_POSITIONS = "A geometry may have {limit} positions at most."
    BBOX_FORM = "bbox is four numbers in degrees: west,south,east,north."
    BBOX_RANGE = "bbox is out of range: west and east are within ±180 degrees, south and north within ±90."
    BBOX_UPSIDE_DOWN = "bbox has its south {south} above its north {north}. The order is west,south,east,north."
    BBOX_WITHOUT_AREA = "bbox encloses no area: west and east, and south and north, have to differ."
    NEAR_FORM = "near is three numbers, degrees and metres: lon,lat,metres."
    NEAR_RANGE = "near is out of range: lon is within ±180 degrees, lat within ±90."
    NEAR_DISTANCE = "near has a distance of {metres} m; it must be above 0 and at most {limit} m."


TEMPLATES = tuple(fault.value for fault in Fault)

# What GEOS calls them; a newer GEOS may know more, which are then INVALID.
GEOS_FAULTS = {
    "Self-intersection": Fault.SELF_CROSSING,
    "Ring Self-intersection": Fault.RING_TOUCHES_ITSELF,
    "Hole lies outside shell": Fault.HOLE_OUTSIDE,
    "Holes are nested": Fault.HOLES_NESTED,
    "Nested shells": Fault.POLYGONS_NESTED,
    "Interior is disconnected": Fault.INTERIOR_DISCONNECTED,
    "Duplicate Rings": Fault.RING_DUPLICATE,
}
