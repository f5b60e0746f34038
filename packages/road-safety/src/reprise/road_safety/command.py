"""``reprise road-safety``: a city's own files to the published layout, ranked segments, maps, and effects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reprise.core import RepriseError
from reprise.road_safety.errors import DownloadError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, help="Accidents on street networks: build, rank and map, effects.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Bootstrap = Annotated[int, typer.Option(help="Draws of the bootstrap.", min=2)]
Seed = Annotated[int, typer.Option(help="Of the bootstrap.", min=0)]


@app.callback()
def _root() -> None:
    pass


@app.command()
def build(
    streets: Annotated[Path, typer.Argument(metavar="STREETS", help="Centrelines, GeoJSON.")],
    crashes: Annotated[Path, typer.Argument(metavar="CRASHES", help="CSV with date, lon, lat, and perhaps street.")],
    out: Annotated[Path, typer.Option(help="Folder that is made or added to.")],
    weather: Annotated[Path | None, typer.Option(help="Daily CSV: date, tavg, tmin, tmax, prcp, wspd, pres.")] = None,
    volume: Annotated[Path | None, typer.Option(help="Traffic counts, CSV: year, lon, lat, aadt, street.")] = None,
    name: Annotated[str, typer.Option(help="Of the city; its folder in OUT.")] = "city",
    max_distance: Annotated[float, typer.Option(help="Metres beyond which a crash belongs to no street.")] = 50.0,
    as_json: AsJson = False,
) -> None:
    """Write a city in the published layout, and say where its crashes went."""
    from reprise.road_safety.city import from_geojson
    from reprise.road_safety.export import export_ml4roadsafety
    from reprise.road_safety.segments_file import write_segments
    from reprise.road_safety.streets import read_streets

    if not name or Path(name).name != name or name in (".", ".."):
        raise RepriseError(f"--name must be a plain name, got {name!r}")
    with _one_sentence():
        lines = read_streets(streets)
        tables = [_table(path) for path in (crashes, weather, volume)]
        dataset, snapped = from_geojson(lines, *tables, name=name, max_distance=max_distance)
        out.mkdir(parents=True, exist_ok=True)
        folder = export_ml4roadsafety(dataset, out)
        write_segments(dataset, lines.names, folder)
        report = {
            "folder": str(folder),
            "junctions": dataset.num_nodes,
            "segments": dataset.num_edges,
            "kilometres": round(float(dataset.length.sum() / 1e3), 3),
            "months": len(dataset.months),
            **dataset.report,
            "snapped": int((snapped.segment >= 0).sum()),
            "share_within_20_m": float((snapped.distance <= 20).mean()),
        }
        (folder / "snapping.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(f"{report['junctions']:,} junctions, {report['segments']:,} segments, {report['kilometres']:,.1f} km")
    typer.echo(
        f"{report['crashes']:,} crashes, {report['located']:,} with a place, {report['snapped']:,} within "
        f"{max_distance:g} m of a street (median {report['median_metres']:.1f} m), {report['rejected']:,} rejected"
    )
    typer.echo(f"{report['named']:.0%} by street name; {report['ambiguous']:,} as near to several streets")
    typer.echo(f"written to {folder}")


@app.command()
def fetch(
    state: Annotated[str, typer.Argument(metavar="STATE", help="Such as MT.")],
    source: Annotated[str, typer.Option(help="ml4roadsafety or mmtrace.")] = "ml4roadsafety",
    cache: Annotated[Path | None, typer.Option(help="Folder for states; that of all data sets by default.")] = None,
    server: Annotated[str | None, typer.Option(help="Another Dataverse server that has them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a state as its authors publish it; what broke off goes on."""
    from reprise.road_safety.fetch import SERVER, fetch_state

    with _one_sentence():
        folder = fetch_state(state, source, cache, server=server or SERVER)
    typer.echo(json.dumps({"folder": str(folder / state)}) if as_json else f"{state} lies in {folder / state}")


@app.command()
def rank(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A state or city in the published layout.")],
    out: Annotated[Path, typer.Option(help="Ranked segments, CSV.")],
    map_file: Annotated[Path | None, typer.Option("--map", help="Map of expected accidents, HTML.")] = None,
    factor: Annotated[
        str, typer.Option(help="Accidents with the measure over those without: 0.8, or 0.8,0.7,0.9 with its interval.")
    ] = "0.8",
    per_km: Annotated[bool, typer.Option("--per-km", help="Rank by accidents avoided per kilometre.")] = False,
    bootstrap: Bootstrap = 200,
    seed: Seed = 0,
    top: Annotated[int, typer.Option(help="How many segments to print.", min=1)] = 10,
    as_json: AsJson = False,
) -> None:
    """Rank segments by the accidents that a measure would avoid, with intervals."""
    from reprise.road_safety.layout import from_ml4roadsafety
    from reprise.road_safety.mirrored import without_mirrors
    from reprise.road_safety.ranking import rank_segments
    from reprise.road_safety.segments_file import read_segments

    for option, path in (("--out", out), ("--map", map_file)):
        if path is not None and not path.parent.is_dir():
            raise RepriseError(f"{option} must name a file in a folder that exists, got {path}")
    with _one_sentence():
        dataset, _ = without_mirrors(from_ml4roadsafety(folder.parent, folder.resolve().name))
        dataset, names = read_segments(dataset, folder)
        table = rank_segments(dataset, _numbers(factor), names=names, bootstrap=bootstrap, per_km=per_km, seed=seed)
        table.to_csv(out, index=False)
        if map_file is not None:
            _write_map(dataset, names, table, map_file)
    shown = json.loads(table.head(top).to_json(orient="records"))
    if as_json:
        typer.echo(json.dumps({"segments": len(table), "out": str(out), "top": shown}))
        return
    typer.echo("rank  segment                          km  accidents  a year expected      avoided a year")
    for row in shown:
        called = (row["name"] or f"segment {row['segment']}")[:28]
        typer.echo(
            f"{row['rank']:4d}  {called:28s}  {row['km'] or float('nan'):5.2f}  {row['observed']:9d}  "
            f"{row['expected_per_year']:6.2f} [{row['low']:.2f}, {row['high']:.2f}]  "
            f"{row['avoided_per_year']:6.2f} [{row['avoided_low']:.2f}, {row['avoided_high']:.2f}]"
        )
    typer.echo(f"{len(table):,} segments written to {out}")


@app.command()
def rain(
    counts: Annotated[Path, typer.Argument(metavar="COUNTS", help="CSV with date and count, or a row per crash.")],
    weather: Annotated[Path, typer.Argument(metavar="WEATHER", help="Daily CSV with date and prcp, mm.")],
    threshold: Annotated[float, typer.Option(help="Millimetres from which a day is wet.")] = 5.0,
    bootstrap: Bootstrap = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Accidents on wet days over those on dry days of the same month and weekday."""
    from reprise.road_safety.rates import matched_rate_ratio
    from reprise.road_safety.sensitivity import e_value

    with _one_sentence():
        rainfall = _by_day(weather, _table(weather), "prcp")
        per_day = _by_day(counts, _table(counts), "count", rows_count=True)
        found = matched_rate_ratio(per_day, rainfall, threshold, bootstrap=bootstrap, seed=seed)
        strength = e_value(found.ratio)
    result = {
        "ratio": found.ratio,
        "ci": found.ci,
        "wet_days": found.n[0],
        "dry_days": found.n[1],
        "unmatched": found.unmatched,
        "e_value": strength,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{found.ratio:.3f} times as many on days with at least {threshold:g} mm as on dry days")
    typer.echo(f"95 % interval {found.ci[0]:.3f} to {found.ci[1]:.3f}; {found.n[0]} wet and {found.n[1]} dry days")
    typer.echo(f"{found.unmatched:.3f} without matching; E-value {strength:.2f}")


@app.command()
def effect(
    path: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV with a row per unit.")],
    treatment: Annotated[str, typer.Option(help="Column of 0 and 1.")],
    outcome: Annotated[str, typer.Option(help="Column of counts, or of 0 and 1.")],
    covariates: Annotated[str, typer.Option(help="Columns to hold alike, with commas between.")],
    clusters: Annotated[str | None, typer.Option(help="Column of units that are resampled together.")] = None,
    method: Annotated[str, typer.Option(help="naive, nn, psm, ipw or aipw.")] = "aipw",
    estimand: Annotated[str, typer.Option(help="att or ate.")] = "att",
    bootstrap: Bootstrap = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Effect of a treatment, with balance and overlap."""
    import warnings

    import numpy as np

    from reprise.road_safety.effects import effect as estimate
    from reprise.road_safety.errors import ConvergenceWarning

    with _one_sentence(), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", ConvergenceWarning)
        table = _table(path)
        columns = [column.strip() for column in covariates.split(",")]
        assert table is not None
        _need(path, table, [treatment, outcome, *columns, *([clusters] if clusters else [])])
        found = estimate(
            table[treatment].to_numpy(),
            table[outcome].to_numpy(),
            table[columns].to_numpy(),
            method,
            estimand,
            clusters=None if clusters is None else table[clusters].to_numpy(),
            bootstrap=bootstrap,
            seed=seed,
        )
    result = {
        "estimate": found.estimate,
        "ci": found.ci,
        "relative": found.relative,
        "relative_ci": found.relative_ci,
        "treated": found.treated,
        "effective_controls": found.ess,
        "largest_difference_before": float(np.abs(found.smd_before).max()),
        "largest_difference_after": float(np.abs(found.smd_after).max()),
        "overlap_auc": found.overlap.auc,
        "converged": not any(issubclass(item.category, ConvergenceWarning) for item in raised),
        "method": method,
        "estimand": estimand,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{estimand.upper()} {found.estimate:.4g}, 95 % interval {found.ci[0]:.4g} to {found.ci[1]:.4g}")
    typer.echo(f"relative {found.relative:+.1%} ({found.relative_ci[0]:+.1%} to {found.relative_ci[1]:+.1%})")
    typer.echo(
        f"{found.treated} treated units, worth {found.ess:.0f} controls; largest standardised difference "
        f"{result['largest_difference_before']:.2f} before and {result['largest_difference_after']:.2f} after"
    )
    if not result["converged"]:
        typer.echo("a model of treatment or outcome did not converge", err=True)


def _write_map(dataset: Any, names: list[str], table: pd.DataFrame, path: Path) -> None:
    from reprise.road_safety.maps import MapLayer
    from reprise.road_safety.pages import html_map

    given = table.sort_values("segment")
    km, years = given["km"].to_numpy(), len(dataset.months) / 12
    layers = [
        MapLayer(
            "expected accidents",
            given["expected_per_year"].to_numpy() / km,
            "per km and year",
            given["low"].to_numpy() / km,
            given["high"].to_numpy() / km,
        ),
        MapLayer("counted accidents", given["observed"].to_numpy() / km / years, "per km and year"),
        MapLayer(
            "avoided accidents",
            given["avoided_per_year"].to_numpy(),
            "per year",
            given["avoided_low"].to_numpy(),
            given["avoided_high"].to_numpy(),
            reference=0.0,
        ),
    ]
    html_map(dataset, layers, names=names, title=f"Accidents: {dataset.name}", path=path)


def _table(path: Path | None) -> pd.DataFrame | None:
    import pandas as pd

    if path is None:
        return None
    try:
        return pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path.name} must be a CSV file with a header: {str(error).strip()}") from error


def _by_day(path: Path, table: pd.DataFrame | None, column: str, *, rows_count: bool = False) -> pd.Series:
    """A column by date; rows are counted per day, days without any as 0, where there is no such column."""
    import pandas as pd

    assert table is not None
    given = table.rename(columns={"time": "date"}) if "date" not in table else table
    _need(path, given, ["date"] if rows_count else ["date", column])
    try:
        dates = pd.DatetimeIndex(pd.to_datetime(given["date"])).normalize()
    except (ValueError, TypeError) as error:
        raise RepriseError(f"{path.name} must have dates in its column date: {error}") from error
    if rows_count and column not in given:
        known = dates[dates.notna()]
        return known.value_counts().reindex(pd.date_range(known.min(), known.max()), fill_value=0)
    return pd.Series(given[column].to_numpy(), dates)


def _need(path: Path, table: pd.DataFrame | None, columns: list[str]) -> None:
    assert table is not None
    missing = [column for column in columns if column not in table]
    if missing:
        raise RepriseError(
            f"{path.name} must have the columns {', '.join(columns)}, but lacks {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns[:8]))}"
        )


def _numbers(text: str) -> Any:
    """One number, or three with commas between."""
    try:
        given = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise RepriseError(f"--factor must be a number, or three with commas between, got {text!r}") from error
    return given[0] if len(given) == 1 else given


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn what is wrong with the input into one sentence."""
    try:
        yield
    except DownloadError as error:
        raise RepriseError(str(error)) from error
    except OSError as error:
        named = os.path.basename(error.filename) if isinstance(error.filename, str) else error.filename
        raise RepriseError(f"cannot use {named or 'a file'}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
