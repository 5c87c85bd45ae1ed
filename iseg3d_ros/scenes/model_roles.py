"""Which model is what: curated by hand once, from the names and sizes in the furniture catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of a model: name, category, size (width, depth, height) and elevation in metres."""

    name: str
    category: str
    size: tuple[float, float, float]
    elevation: float
    opening: bool = False


# Sets, things of two sizes at once, flat prints, and what no depth camera sees: never placed.
LEFT_OUT = frozenset(s.lower() for s in (
    "Contemporary living room", "Full bookcase", "Plate, glass and cutlery", "Plate, glasses and cutlery",
    "Birthday cake", "Bowl with fruits", "Apples", "Kitchen tools", "Knife stand", "Oil servers", "Utensils pot",
    "Bathmat", "Oriental rug", "Round carpet", "Tatami", "Doormat", "Double vanity", "Technical table", "Shower door",
    "Shower curtain", "Concrete sidewalk", "Elevator", "Elevator door", "Escalator", "Spiral staircase", "Garage door",
    "Swimming pool", "Rectangle swimming pool", "Round swimming pool", "Rails", "Rail crossing", "Box", "Hashtray",
    "Changing table", "Workbench", "Coffee machine", "Ring", "Induction cooker 2 zones", "Induction cooker 4 zones",
    "Screen", "Mezzanine bed", "Stove", "Cooktop", "Child hut", "Children game", "Diving board", "Barnum",
    "Wall lamp artwork", "Iron railing", "Fence", "Pedestrian railing", "Chimney", "Round chimney", "Fitness tower"))
_LEFT_OUT_STARTS = ("bill ", "parking", "arrow", "pedestrian crossing")

# Role -> names. The first role that holds the name wins; sizes sort out the rest below.
_NAMES: dict[str, tuple[str, ...]] = {
    "office chair": ("class seat",),
    "armchair": ("armchair", "modern armchair", "winchester armchair", "rattan armchair", "relax chair",
                 "armchair ottoman", "wheelchair"),
    "chair": ("chair", "oak chair", "osaka chair", "plastic chair", "ryokan chair", "chair with cushion", "cafe chair",
              "teck chair", "folding chair", "child chair", "children chair"),
    "stool": ("stool", "bar stool", "piano bench", "puff"),
    "sofa": ("sofa", "couch", "futon couch", "burlap sofa", "clear sofa", "winchester sofa", "convertible sofa bz",
             "rattan sofa", "sofa 2 seats", "sofa 3 seats", "corner sofa"),
    "bed": ("bed", "bunk bed", "captain's bed", "child bed", "iron bed", "hospital bed", "futon", "day bed",
            "opened convertible sofa bz", "baby bed", "crib"),
    "bedside table": ("bedside table",),
    "coffee table": ("coffee table", "rattan table", "children table"),
    "table": ("table", "oak table", "glass table", "black table", "round table", "wooden table", "wooden alder table",
              "wooden teak table", "folding table", "table on trestles", "table with tablecloth", "cafe table",
              "bar table"),
    "desk": ("desk", "desk table", "wooden desk"),
    "shelf": ("shelves", "bookcase", "vertical shelves"),
    "tv stand": ("tv stand",),
    "storage": ("wardrobe", "cupboard", "chest", "dresser with drawers", "dressing table", "filing cabinet", "safe",
                "television cabinet", "upright piano", "fireplace", "furnace", "flipper", "water cooler"),
    "counter": ("lower cabinet", "small lower cabinet", "drawers cabinet", "sink cabinet", "sink", "washing machine",
                "clothes washing machine", "dryer machine", "large stove"),
    "tall kitchen": ("fridge", "refrigerator", "large fridge", "high cabinet", "double oven"),
    "upper kitchen": ("upper cabinet", "small upper cabinet", "glass door cabinet", "range hood", "hood",
                      "upper shelves cabinet"),
    "bathroom": ("toilets unit", "bidet", "washbasin", "bath", "vanity", "corner bathtub", "shower stall", "urinal",
                 "small lavatory", "island bath"),
    "screen": ("tv", "tv 16:9", "apple imac 1998", "apple imac 2004"),
    "desk thing": ("laptop", "keyboard", "phone", "desk lamp", "apple ibook", "wireless phone", "letter tray",
                   "calendar", "penbox", "inkjet printer and scanner", "stapler", "reflex camera", "little lamp",
                   "headphones", "joystick", "playstation", "mini stereo"),
    "appliance": ("microwave", "toaster", "coffee maker", "coffee brewer", "mixer", "blender", "bread box",
                  "small oven", "deep fryer", "cooker", "kitchen scale", "boiler", "teapot", "large pan",
                  "paper towel holder", "spice tower", "sandwich maker", "coffee press", "stone grill device"),
    "floor lamp": ("pedestal vase lamp",),
    "plant": ("plant", "ficus", "yucca", "decorative plant", "indoor plant", "spathiphyllum", "spider plant", "flowers",
              "orchids", "tulips", "white lily", "bonsai tree", "little plant", "cactus", "succulent plant", "bamboo",
              "christmas tree", "flower box", "plant box"),
    "bin": ("dustbin", "bullet trash can", "recycling bin", "clothes basket", "shopping basket", "barrel", "crate"),
    "floor thing": ("suitcase", "cardboard box", "open cardboard box", "trunck", "extinguisher", "speaker", "backpack",
                    "punching ball", "indoor bike", "clothes horse", "step ladder", "small step ladder", "stroller",
                    "electric guitar", "mannequin female", "mannequin male", "white board", "radiator", "bench",
                    "clothes rack", "bicycle", "bike", "tricycle", "rocking horse", "doll house", "vase", "cone",
                    "pallet", "wood logs", "safe", "locked locker", "rigged fan", "dog", "cat", "bulldog",
                    "siamese cat", "umbrella", "mower", "treadmill", "abdominal bench", "grand piano", "pool table",
                    "football table", "table tennis", "chest freezer", "island", "aquarium", "skateboard",
                    "dog house", "sleeping bag", "air mattress", "electric water heater", "propane stove"),
    "ceiling": ("ceiling lamp", "fluorescent light", "hanging light", "chandelier lamp", "pendant lamp", "ceiling fan",
                "track lights", "smoke detector"),
    "car": ("chevrolet", "concept sedan 01", "concept sedan 02", "concept sedan 02 sport", "ford focus",
            "peugeot 308 cc", "renault scenic", "suv", "seat leon", "smart car", "vw new beetle"),
    "truck": ("truck", "bus", "city bus", "van", "fork lift"),
    "two-wheeler": ("scooter", "motorbike", "yamaha yzr r6"),
    "tree": ("acacia", "bended coconut tree", "blue pine under snow", "coconut tree", "copper beech", "cypress",
             "japanese maple", "palm tree", "peach blossom", "pine", "pine under snow", "poplar", "sycamore maple"),
    "hedge": ("hedge", "high hedge", "bush"),
    "street thing": ("fire hydrant", "letters box", "mailbox", "park trashcan", "residential trashcan", "wood bank",
                     "concrete bench", "painted bench", "little bank", "fountain", "stone lantern", "rock",
                     "wheelbarrow", "shipping container"),
    "street lamp": ("classic lamppost", "park light", "street lamp", "street light"),
}
_ROLE_OF = {name: role for role, names in reversed(_NAMES.items()) for name in names}


def role(entry: Entry) -> str:
    """The role of a model in scenes; "" where it plays none."""
    name = entry.name.lower()
    if name in LEFT_OUT or name.startswith(_LEFT_OUT_STARTS):
        return ""
    if entry.opening or name in ("screen door", "window shutter"):
        return _opening(entry)
    known = _resized(_ROLE_OF.get(name, ""), entry)
    return known or _by_category(entry)


def _opening(entry: Entry) -> str:
    if entry.size[0] > 2.6 or entry.size[1] > 0.4:
        return ""
    return "door" if entry.elevation < 0.05 else "window"


def _resized(known: str, entry: Entry) -> str:
    """The same name for different things: told apart by category and size."""
    width, depth, height = entry.size
    if known == "table" and height < 0.58:
        return "coffee table"
    if known == "chair" and entry.category == "Office":
        return "office chair"
    if known in ("plant", "screen", "bin") and max(entry.size) < 0.45:
        return "small"
    if known == "plant" and max(width, depth) > 1.4:
        return "tree"
    if known in ("storage", "floor thing", "bathroom") and entry.elevation > 0.5:
        return "wall"
    return known


def _by_category(entry: Entry) -> str:
    indoors = entry.category in ("Bathroom", "Bedroom", "Kitchen", "Living room", "Office", "Miscellaneous", "Lights")
    largest = max(entry.size)
    if entry.category == "Characters":
        return "person" if entry.size[2] > 1.3 and entry.size[2] < 1.9 and max(entry.size[:2]) < 1.1 else ""
    if entry.category == "Lights" and entry.elevation > 1.7:
        return "ceiling"
    if entry.category == "Lights" and entry.size[2] > 1:
        return "floor lamp"
    if indoors and entry.elevation > 0.6 and largest > 0.12 and entry.size[1] < 0.7:
        return "wall"
    if indoors and entry.elevation == 0 and 0.04 < largest <= 0.45 and sorted(entry.size)[1] > 0.015:
        return "small"
    return ""
