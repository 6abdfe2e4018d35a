/** The colours that are drawn on the map and the chart; the same tones as in the style sheets. */

export type Theme = "dark" | "light";

export interface Palette {
  ground: string;
  zone: string;
  zoneLine: string;
  route: string;
  sign: string;
  track: string;
  over: string;
  text: string;
  halo: string;
  moving: string;
  stopped: string;
  silent: string;
  chosen: string;
}

export const PALETTES: Record<Theme, Palette> = {
  dark: {
    ground: "#10171d",
    zone: "#7f95a8",
    zoneLine: "#3d4f5e",
    route: "#35566b",
    sign: "#8a6d35",
    track: "#6aa9d8",
    over: "#ff7a66",
    text: "#c9d5dd",
    halo: "#10171d",
    moving: "#5fd0a8",
    stopped: "#93a3b0",
    silent: "#e0a848",
    chosen: "#ffffff",
  },
  light: {
    ground: "#eef1f3",
    zone: "#5a7387",
    zoneLine: "#a9b8c3",
    route: "#9fb9ca",
    sign: "#c39a4b",
    track: "#2f78b7",
    over: "#cf3b28",
    text: "#29363f",
    halo: "#eef1f3",
    moving: "#17835c",
    stopped: "#62727f",
    silent: "#a86a05",
    chosen: "#101820",
  },
};
