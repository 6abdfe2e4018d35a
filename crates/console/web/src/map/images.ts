/**
 * Marks and words of the map, drawn on canvases of this page: the map needs no fonts, sprites or
 * other hosts for them.
 */

import type { Map as GlMap } from "maplibre-gl";
import type { Motion } from "../api/types";
import type { Palette } from "./palette";

const RATIO = 2;
/** Words drawn at most; the map makes do without the rest until it is drawn anew. */
const MAX_WORDS = 4000;

function canvas(width: number, height: number): CanvasRenderingContext2D {
  const element = document.createElement("canvas");
  element.width = Math.ceil(width * RATIO);
  element.height = Math.ceil(height * RATIO);
  const context = element.getContext("2d");
  if (!context) throw new Error("every browser with WebGL has 2D canvases");
  context.scale(RATIO, RATIO);
  return context;
}

function add(map: GlMap, id: string, context: CanvasRenderingContext2D): void {
  const { width, height } = context.canvas;
  const image = context.getImageData(0, 0, width, height);
  if (!map.hasImage(id)) map.addImage(id, image, { pixelRatio: RATIO });
}

/** An arrow for what moves, a disc for what stands, a ring for what is silent. */
export function addMarks(map: GlMap, palette: Palette): void {
  const marks: Record<Motion, (c: CanvasRenderingContext2D) => void> = {
    moving: (c) => {
      c.moveTo(11, 2.5);
      c.lineTo(18, 18.5);
      c.lineTo(11, 14.5);
      c.lineTo(4, 18.5);
      c.closePath();
    },
    stopped: (c) => c.arc(11, 11, 5, 0, 2 * Math.PI),
    silent: (c) => c.arc(11, 11, 5, 0, 2 * Math.PI),
  };
  for (const [motion, draw] of Object.entries(marks) as [Motion, (typeof marks)[Motion]][]) {
    const c = canvas(22, 22);
    c.beginPath();
    draw(c);
    c.lineJoin = "round";
    c.lineWidth = 4;
    c.strokeStyle = palette.halo;
    c.stroke();
    c.fillStyle = motion === "silent" ? palette.halo : palette[motion];
    c.fill();
    c.lineWidth = motion === "silent" ? 2 : 0.75;
    c.strokeStyle = motion === "silent" ? palette.silent : palette.halo;
    c.stroke();
    add(map, `mark:${motion}`, c);
  }
}

/** Draws `word:<tone>:<text>` when the map first asks for it. */
export function drawWords(map: GlMap, palette: Palette): (e: { id: string }) => void {
  let drawn = 0;
  return ({ id }) => {
    const parts = /^word:(plate|place):(.+)$/s.exec(id);
    if (!parts || drawn >= MAX_WORDS) return;
    drawn += 1;
    const plate = parts[1] === "plate";
    add(map, id, word(parts[2] as string, plate, palette));
  };
}

function word(text: string, plate: boolean, palette: Palette): CanvasRenderingContext2D {
  const font = `${plate ? 600 : 400} ${plate ? 11.5 : 11}px "Noto Sans", system-ui, sans-serif`;
  const ruler = canvas(1, 1);
  ruler.font = font;
  const c = canvas(ruler.measureText(text).width + 8, 18);
  c.font = font;
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.lineWidth = 3.5;
  c.strokeStyle = palette.halo;
  c.strokeText(text, 4, 9.5);
  c.globalAlpha = plate ? 1 : 0.7;
  c.fillStyle = palette.text;
  c.fillText(text, 4, 9.5);
  return c;
}
