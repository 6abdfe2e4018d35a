/** The map's style: a plain ground and what the registers and the API know, no outside source. */

import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from "maplibre-gl";
import type { Palette } from "./palette";

export const SOURCES = ["zones", "routes", "signs", "track", "vehicles", "cursor"] as const;
export type SourceName = (typeof SOURCES)[number];

export const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

/** Zoom from which the names of stops and zones are drawn. */
const NAMES_FROM = 9.5;
const PLATES_FROM = 8.5;

const isPart = (part: string): ExpressionSpecification => ["==", ["get", "part"], part];
const widening = (far: number, near: number): ExpressionSpecification =>
  ["interpolate", ["linear"], ["zoom"], 7, far, 14, near];

export function plainStyle(palette: Palette): StyleSpecification {
  const empty = { type: "geojson" as const, data: EMPTY };
  return {
    version: 8,
    sources: Object.fromEntries(SOURCES.map((name) => [name, empty])),
    layers: [
      { id: "ground", type: "background", paint: { "background-color": palette.ground } },
      ...registers(palette),
      ...track(palette),
      ...vehicles(palette),
    ],
  };
}

function registers(p: Palette): LayerSpecification[] {
  return [
    {
      id: "zones",
      type: "fill",
      source: "zones",
      paint: { "fill-color": p.zone, "fill-opacity": 0.1 },
    },
    {
      id: "zone-edges",
      type: "line",
      source: "zones",
      paint: { "line-color": p.zoneLine, "line-width": 1, "line-dasharray": [3, 2] },
    },
    {
      id: "routes",
      type: "line",
      source: "routes",
      filter: isPart("line"),
      layout: { "line-join": "round", "line-cap": "round" },
      paint: { "line-color": p.route, "line-width": widening(1.5, 6) },
    },
    {
      id: "signs",
      type: "line",
      source: "signs",
      layout: { "line-cap": "butt" },
      paint: { "line-color": p.sign, "line-width": widening(1.5, 4), "line-opacity": 0.9 },
    },
    {
      id: "stops",
      type: "circle",
      source: "routes",
      filter: isPart("stop"),
      paint: {
        "circle-radius": ["case", ["get", "terminal"], 4, 2.5],
        "circle-color": p.ground,
        "circle-stroke-color": p.route,
        "circle-stroke-width": 1.5,
      },
    },
    {
      id: "stop-names",
      type: "symbol",
      source: "routes",
      filter: isPart("stop"),
      minzoom: NAMES_FROM,
      layout: {
        "icon-image": ["concat", "word:place:", ["get", "name"]],
        "icon-anchor": "top",
        "icon-offset": [0, 4],
      },
    },
  ];
}

function track(p: Palette): LayerSpecification[] {
  const over: ExpressionSpecification = ["get", "over"];
  const layout = { "line-join": "round", "line-cap": "round" } as const;
  return [
    {
      id: "track-edge",
      type: "line",
      source: "track",
      layout,
      paint: { "line-color": p.halo, "line-width": 7, "line-opacity": 0.8 },
    },
    {
      id: "track",
      type: "line",
      source: "track",
      layout: { ...layout, "line-sort-key": ["case", over, 1, 0] },
      paint: {
        "line-color": ["case", over, p.over, p.track],
        "line-width": ["case", over, 4.5, 2.5],
      },
    },
  ];
}

function vehicles(p: Palette): LayerSpecification[] {
  const chosen: ExpressionSpecification = ["get", "chosen"];
  return [
    {
      id: "chosen",
      type: "circle",
      source: "vehicles",
      filter: chosen,
      paint: {
        "circle-radius": 14,
        "circle-color": p.chosen,
        "circle-opacity": 0.12,
        "circle-stroke-color": p.chosen,
        "circle-stroke-width": 1.5,
      },
    },
    {
      id: "vehicles",
      type: "symbol",
      source: "vehicles",
      layout: {
        "icon-image": ["concat", "mark:", ["get", "motion"]],
        "icon-rotate": ["get", "course"],
        "icon-rotation-alignment": "map",
        "icon-allow-overlap": true,
        "icon-ignore-placement": true,
        "symbol-sort-key": ["case", chosen, 1, 0],
      },
    },
    {
      id: "plates",
      type: "symbol",
      source: "vehicles",
      minzoom: PLATES_FROM,
      layout: {
        "icon-image": ["concat", "word:plate:", ["get", "label"]],
        "icon-anchor": "left",
        "icon-offset": [11, 0],
        "symbol-sort-key": ["case", chosen, 0, 1],
      },
    },
    {
      id: "cursor",
      type: "circle",
      source: "cursor",
      paint: {
        "circle-radius": 5.5,
        "circle-color": ["case", ["get", "over"], p.over, p.track],
        "circle-stroke-color": p.chosen,
        "circle-stroke-width": 2,
      },
    },
  ];
}
