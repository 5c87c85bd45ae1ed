// Everything the page says of itself, in the languages it has; {name} is filled in.

const ENGLISH = {
  title: "iseg3d console",
  auto: "Select / new", autoHint: "A click on a coloured object chooses it; elsewhere it begins a new object (key O)",
  add: "Add", addHint: "Clicks add to the active object (key A, or Shift and click)",
  background: "Take away", backgroundHint: "Clicks say: this is background (key B, or right click, long press)",
  fresh: "New", freshHint: "The next click begins a new object, wherever it is (key E)",
  undo: "Undo", redo: "Redo", clear: "Clear", delete: "Delete", hide: "Hide", show: "Show", solo: "Show alone",
  merge: "Merge into the active object", choose: "Choose", panel: "Panel", help: "Shortcuts", capture: "Capture a new cloud",
  willNew: "A click here begins a new object", willSelect: "A click here chooses {name}",
  willAdd: "A click here adds to {name}", willBackground: "A click here takes this away: background",
  willBackgroundOf: "A click here takes this away from {name}", isActive: "{name} is active: Add (A) or Take away (B)",
  willNothing: "No point under the cursor", willPivot: "Turning about this point", willMeasure: "Click two points to measure",
  segmenting: "segmenting", waiting: "{count} waiting", seconds: "{seconds} s",
  dead: "The link to the server is dead: nothing you do arrives. Trying again …", again: "The link is back.",
  offline: "waiting for the server", points: "{count} points", drawn: "{count} drawn", lastClick: "last click {ms} ms",
  objects: "Objects", none: "None yet: click on something in the cloud.", name: "Name", category: "Class", noCategory: "no class",
  filter: "Find an object", sure: "{percent} % sure", hidden: "hidden", lost: "lost from view",
  accept: "Accept the suggestion", acceptFor: "Enter: a click for {name}", acceptBackground: "Enter: a click on background",
  suggestion: "Suggested click", view: "View", colours: "Colours", rgb: "own", intensity: "intensity", height: "height",
  instance: "objects", classes: "classes", unsure: "uncertainty", size: "Size of points", light: "Light ground",
  boxes: "Boxes and names", large: "Boxes of walls too", open: "Cut near walls and ceiling away", shade: "Depth shading",
  section: "Section", across: "Across", along: "Along", up: "Height", reset: "Whole cloud", frame: "Frame", top: "Top",
  front: "Front", side: "Side", measure: "Measure", distance: "{metres} m", certain: "sure", doubtful: "unsure",
  model: "Model", asItIs: "as it is", voxel: "Voxel size (m, 0: by itself)", clouds: "Clouds", use: "Use these",
  save: "Save", into: "Into {place}", format: "Format", file: "File name", download: "Download",
  scans: "Scans", scanOf: "{number} of {count}", found: "{count} objects", done: "Done", skipped: "Skipped", next: "Next scan",
  previous: "Previous scan", onlyLooking: "For looking only", noWebgl:
    "This browser shows no WebGL 2, which the console draws with: switch on hardware acceleration in its settings, or open " +
    "the page in another browser.",
  clearSure: "Forget all objects and clicks? Undo brings them back.", yes: "Yes", no: "No", close: "Close",
  tookBack: "The click was taken back; turning about this point.", cancelled: "Cancelled.",
  already: "That click is on its way.", session: "session (work to go on with)", camera: "Drag turns, right drag moves, wheel zooms",
  first: "Three things to know", first1: "Click on a thing: it becomes an object. Click the next thing: another one.",
  first2: "Add what is missing: Add, or Shift and click.", first3: "Take away what is too much: right click or long press.",
  start: "Start", take: "Open",
  takeHint: "Take up the session of this name, or the labels of a file (name.ply, .npz, .label) in this folder; can be undone",
  tools: "Tools", click: "Click", clickHint: "A click says what belongs together; a drag turns the view",
  brush: "Brush", brushHint: "Paint points of the active object; right drag takes away (key D)", brushSize: "Size of the brush",
  lasso: "Outline", lassoHint: "Draw around the points of the active object; right drag takes away (key J)",
  box: "Box", boxHint: "Drag a box over the points of the active object; right drag takes away (key K)",
  paintAdd: "Drag adds to {name}, right drag takes away, Space turns", paintNew: "Drag begins a new object, Space turns",
  paintAway: "Drag takes away from {name}", paintAwayAny: "Drag takes away from any object", lock: "Lock", unlock: "Unlock", locked: "locked",
  lockHint: "It takes no clicks and loses no points (key Y)", split: "Split", splitHint: "Its connected parts become objects",
  images: "Camera images", imageOf: "{number} of {count}", masks: "Objects", nextImage: "Next image", previousImage: "Previous image",
  imagesWait: "Waiting for an image of the camera …", imageBlank: "This part of the image shows no point of the cloud",
  carry: "Carry objects over", carryHint: "A scan that is opened for the first time begins with the objects of the one before it",
};

const GERMAN = {
  title: "iseg3d-Konsole",
  auto: "Wählen / neu", autoHint: "Ein Klick auf ein farbiges Objekt wählt es, anderswo beginnt er ein neues (Taste O)",
  add: "Dazu", addHint: "Klicks erweitern das aktive Objekt (Taste A, oder Umschalt und Klick)",
  background: "Weg", backgroundHint: "Klicks sagen: das ist Hintergrund (Taste B, Rechtsklick, langes Drücken)",
  fresh: "Neu", freshHint: "Der nächste Klick beginnt überall ein neues Objekt (Taste E)",
  undo: "Zurück", redo: "Wieder", clear: "Leeren", delete: "Löschen", hide: "Verbergen", show: "Zeigen", solo: "Allein zeigen",
  merge: "Mit dem aktiven Objekt vereinen", choose: "Wählen", panel: "Leiste", help: "Tasten", capture: "Neue Wolke halten",
  willNew: "Ein Klick beginnt hier ein neues Objekt", willSelect: "Ein Klick wählt hier {name}",
  willAdd: "Ein Klick erweitert hier {name}", willBackground: "Ein Klick sagt hier: Hintergrund",
  willBackgroundOf: "Ein Klick nimmt dies von {name} weg", isActive: "{name} ist aktiv: Dazu (A) oder Weg (B)",
  willNothing: "Kein Punkt unter dem Zeiger", willPivot: "Gedreht wird um diesen Punkt", willMeasure: "Zwei Punkte anklicken",
  segmenting: "wird segmentiert", waiting: "{count} warten", seconds: "{seconds} s",
  dead: "Die Verbindung zum Server ist tot: nichts kommt an. Neuer Versuch …", again: "Die Verbindung steht wieder.",
  offline: "wartet auf den Server", points: "{count} Punkte", drawn: "{count} gezeichnet", lastClick: "letzter Klick {ms} ms",
  objects: "Objekte", none: "Noch keine: etwas in der Wolke anklicken.", name: "Name", category: "Klasse", noCategory: "keine Klasse",
  filter: "Objekt suchen", sure: "{percent} % sicher", hidden: "verborgen", lost: "nicht mehr zu sehen",
  accept: "Vorschlag annehmen", acceptFor: "Eingabe: Klick für {name}", acceptBackground: "Eingabe: Klick auf Hintergrund",
  suggestion: "Vorgeschlagener Klick", view: "Ansicht", colours: "Farben", rgb: "eigene", intensity: "Intensität", height: "Höhe",
  instance: "Objekte", classes: "Klassen", unsure: "Unsicherheit", size: "Punktgröße", light: "Heller Grund",
  boxes: "Quader und Namen", large: "Auch Quader von Wänden", open: "Nahe Wände und Decke weg", shade: "Tiefenschatten",
  section: "Schnitt", across: "Quer", along: "Längs", up: "Höhe", reset: "Ganze Wolke", frame: "Alles", top: "Oben",
  front: "Vorn", side: "Seite", measure: "Messen", distance: "{metres} m", certain: "sicher", doubtful: "unsicher",
  model: "Modell", asItIs: "wie es ist", voxel: "Voxelgröße (m, 0: von selbst)", clouds: "Wolken", use: "Übernehmen",
  save: "Sichern", into: "Nach {place}", format: "Format", file: "Dateiname", download: "Herunterladen",
  scans: "Scans", scanOf: "{number} von {count}", found: "{count} Objekte", done: "Fertig", skipped: "Übergangen", next: "Nächster Scan",
  previous: "Voriger Scan", onlyLooking: "Nur zum Ansehen", noWebgl:
    "Dieser Browser zeigt kein WebGL 2, womit die Konsole zeichnet: Hardwarebeschleunigung einschalten oder einen anderen nehmen.",
  clearSure: "Alle Objekte und Klicks vergessen? „Zurück“ holt sie wieder.", yes: "Ja", no: "Nein", close: "Schließen",
  tookBack: "Der Klick ist zurückgenommen; gedreht wird um diesen Punkt.", cancelled: "Abgebrochen.",
  already: "Dieser Klick ist unterwegs.", session: "Sitzung (zum Weiterarbeiten)", camera: "Ziehen dreht, rechts ziehen schiebt, Rad zoomt",
  first: "Drei Dinge vorweg", first1: "Ein Ding anklicken: es wird ein Objekt. Das nächste anklicken: noch eines.",
  first2: "Was fehlt, dazunehmen: „Dazu“, oder Umschalt und Klick.", first3: "Was zu viel ist, wegnehmen: Rechtsklick oder lange drücken.",
  start: "Los", take: "Öffnen",
  takeHint: "Die Sitzung dieses Namens aufnehmen, oder die Labels einer Datei (name.ply, .npz, .label) in diesem Ordner; lässt sich zurücknehmen",
  tools: "Werkzeuge", click: "Klicken", clickHint: "Ein Klick sagt, was zusammengehört; Ziehen dreht die Ansicht",
  brush: "Pinsel", brushHint: "Punkte des aktiven Objekts malen; rechts ziehen nimmt weg (Taste D)", brushSize: "Größe des Pinsels",
  lasso: "Umriss", lassoHint: "Die Punkte des aktiven Objekts umfahren; rechts ziehen nimmt weg (Taste J)",
  box: "Rahmen", boxHint: "Einen Rahmen über die Punkte des aktiven Objekts ziehen; rechts ziehen nimmt weg (Taste K)",
  paintAdd: "Ziehen erweitert {name}, rechts ziehen nimmt weg, Leertaste dreht",
  paintNew: "Ziehen beginnt ein neues Objekt, Leertaste dreht", paintAway: "Ziehen nimmt von {name} weg",
  paintAwayAny: "Ziehen nimmt von jedem Objekt weg", lock: "Sperren", unlock: "Entsperren", locked: "gesperrt",
  lockHint: "Es nimmt keine Klicks an und verliert keine Punkte (Taste Y)", split: "Teilen", splitHint: "Seine getrennten Teile werden Objekte",
  images: "Kamerabilder", imageOf: "{number} von {count}", masks: "Objekte", nextImage: "Nächstes Bild", previousImage: "Voriges Bild",
  imagesWait: "Warte auf ein Bild der Kamera …", imageBlank: "Dieser Teil des Bildes zeigt keinen Punkt der Wolke",
  carry: "Objekte mitnehmen", carryHint: "Ein Scan, der zum ersten Mal geöffnet wird, beginnt mit den Objekten des vorigen",
};

const asked = new URLSearchParams(location.search).get("lang") || navigator.language || "en";
const own = asked.startsWith("de") ? GERMAN : {};
export const language = asked.startsWith("de") ? "de" : "en";

export function say(key, values = {}) {
  const text = own[key] ?? ENGLISH[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const thousands = (count) => Math.round(count).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
