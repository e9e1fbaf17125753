"""Instruments that send text or fixed frames over a serial line."""

import contextlib
import datetime as dt
import errno
import termios
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import serial
from msgspec import Meta, field

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.jobs.bad_lines import BadLineFile, escape
from enrgdaq.daq.jobs.pacing import Backoff
from enrgdaq.daq.jobs.serial_framing import DelimitedFramer, FixedFramer, Frame, Framer
from enrgdaq.daq.jobs.serial_parsing import (
    BadFrameError,
    CSVParser,
    FrameParser,
    JSONParser,
    NMEAParser,
    RegexParser,
    SerialColumn,
    Value,
)
from enrgdaq.daq.store.models import DAQJobMessageStoreTabular, StorableDAQJobConfig
from enrgdaq.errors import ConfigurationError, EnrgdaqError

_READ_TIMEOUT_SECONDS = 0.1
_READ_BYTES = 65536
_QUIET_SECONDS = 0.05
_REPORT_SECONDS = 10.0
# What a device that was pulled out, or is not there yet, raises below pyserial.
_LINE_ERRORS = (serial.SerialException, OSError, termios.error)


class _LineLostError(EnrgdaqError):
    """The device cannot be opened or read now."""


class DAQJobSerialConfig(StorableDAQJobConfig, kw_only=True):
    """Config of :class:`DAQJobSerial`."""

    port: Annotated[
        str,
        Meta(
            min_length=1,
            description="device, best below /dev/serial/by-id/, or pyserial URL "
            "(socket://host:port, rfc2217://host:port)",
        ),
    ]
    baud_rate: Annotated[int, Meta(ge=1, description="line speed, baud")] = 9600
    data_bits: Annotated[Literal[5, 6, 7, 8], Meta(description="bits of a character")] = 8
    parity: Annotated[
        Literal["none", "even", "odd", "mark", "space"], Meta(description="parity bit")
    ] = "none"
    stop_bits: Annotated[Literal[1, 2], Meta(description="stop bits")] = 1
    flow_control: Annotated[
        Literal["none", "rtscts", "dsrdtr", "xonxoff"], Meta(description="flow control")
    ] = "none"
    framing: Annotated[
        Literal["line", "delimiter", "fixed"],
        Meta(description="what ends a frame: a line feed, delimiter_hex, or its length"),
    ] = "line"
    delimiter_hex: Annotated[
        str, Meta(description="bytes that end a frame, as hexadecimal digits: 0d or 0d0a")
    ] = "0a"
    frame_bytes: Annotated[
        int, Meta(ge=1, le=65536, description="length of a frame of fixed length, bytes")
    ] = 64
    sync_hex: Annotated[
        str, Meta(description="bytes that begin each frame of fixed length, hexadecimal")
    ] = ""
    max_frame_bytes: Annotated[
        int, Meta(ge=1, le=1_048_576, description="longer frames are bad lines, bytes")
    ] = 4096
    first_frame: Annotated[
        Literal["auto", "keep", "discard"],
        Meta(
            description="the first frame after opening may lack its beginning; auto: a bad "
            "line unless the device was silent for 50 ms after opening"
        ),
    ] = "auto"
    format: Annotated[
        Literal["csv", "regex", "json", "nmea"], Meta(description="how a frame holds its values")
    ] = "csv"
    separator: Annotated[
        str, Meta(min_length=1, description="between csv fields; one blank: any run of blanks")
    ] = ","
    pattern: Annotated[
        str, Meta(description="regular expression with named groups, for the whole frame")
    ] = ""
    nmea_checksum: Annotated[
        bool, Meta(description="nmea: refuse sentences without a right checksum")
    ] = True
    nmea_sentences: Annotated[
        list[str], Meta(description="nmea: names to store, GPGGA or GGA; all if empty")
    ] = field(default_factory=list)
    encoding: Annotated[
        Literal["ascii", "utf-8", "latin-1"], Meta(description="encoding of the text")
    ] = "ascii"
    columns: Annotated[list[SerialColumn], Meta(min_length=1, description="values of a frame")]
    bad_lines_file: Annotated[
        str | None,
        Meta(
            description="file for lines that cannot be understood; out/<job>_bad_lines.txt by "
            "default, an empty text keeps none"
        ),
    ] = None
    bad_lines_max_bytes: Annotated[
        int,
        Meta(ge=1024, description="size at which that file is rotated, once, bytes"),
    ] = 1_000_000
    reconnect_first_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="first wait before opening again; doubles, s")
    ] = 0.5
    reconnect_longest_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="longest wait before opening again, s")
    ] = 10.0

    def __post_init__(self) -> None:
        names = ["timestamp", *(column.stored_name for column in self.columns)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"columns: two are called {name!r}; rename one")
        if self.format == "regex" and not self.pattern:
            raise ValueError("format = 'regex' needs pattern")
        make_framer(self)
        make_parser(self)


def make_framer(config: DAQJobSerialConfig) -> Framer:
    """The framer that a config asks for. Raises ``ValueError``."""
    if config.framing == "fixed":
        return FixedFramer(config.frame_bytes, _from_hex("sync_hex", config.sync_hex))
    if config.framing == "delimiter":
        delimiter = _from_hex("delimiter_hex", config.delimiter_hex)
        return DelimitedFramer(delimiter, config.max_frame_bytes)
    return DelimitedFramer(b"\n", config.max_frame_bytes, strip=b"\r\0")


def make_parser(config: DAQJobSerialConfig) -> FrameParser:
    """The parser that a config asks for. Raises ``ValueError``."""
    if config.format == "regex":
        return RegexParser(config.columns, config.pattern, config.encoding)
    if config.format == "json":
        return JSONParser(config.columns, config.encoding)
    if config.format == "nmea":
        return NMEAParser(config.columns, config.nmea_sentences, config.nmea_checksum)
    return CSVParser(config.columns, config.separator, config.encoding)


class DAQJobSerial(DAQJob):
    """Stores what an instrument sends over a serial line.

    Columns: ``timestamp`` (unix time at which the frame's last byte was read, s), then the
    configured ones. When the device is unplugged the job waits for it and goes on. Frames
    that cannot be understood are counted and kept in a side file; they never become rows.
    """

    config_type = DAQJobSerialConfig
    config: DAQJobSerialConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bad_lines = 0
        """Frames that were not understood since the job started."""
        self._framer = make_framer(self.config)
        self._parser = make_parser(self.config)
        self._keys = ["timestamp", *(column.stored_name for column in self.config.columns)]
        self._units = {
            "timestamp": "s",
            **{column.stored_name: column.unit for column in self.config.columns if column.unit},
        }
        self._bad_line_file = self._make_bad_line_file()
        self._reported_bad_lines = 0
        self._next_report = 0.0

    def start(self) -> None:
        """Read until the job is to stop; raises ``ConfigurationError`` for a bad port."""
        backoff = Backoff(
            self.config.reconnect_first_seconds, self.config.reconnect_longest_seconds
        )
        last_reason = ""
        while not self.stopping:
            try:
                with contextlib.closing(self._open()) as line:
                    self.log.info("%s is open", self.config.port)
                    last_reason = ""
                    self.set_condition("")
                    self._read(line, backoff)
            except _LineLostError as error:
                self.set_condition(f"waiting for {self.config.port}")
                if str(error) != last_reason:
                    last_reason = str(error)
                    self.log.warning("%s: %s; waiting for it", self.config.port, error)
                self.sleep(backoff.next_seconds())
            finally:
                self._sort_out(self._framer.reset(is_cut=False), time.time())
        self._report(is_last=True)

    def _open(self) -> Any:
        config = self.config
        try:
            return serial.serial_for_url(
                config.port,
                baudrate=config.baud_rate,
                bytesize=config.data_bits,
                parity=config.parity[0].upper(),
                stopbits=config.stop_bits,
                rtscts=config.flow_control == "rtscts",
                dsrdtr=config.flow_control == "dsrdtr",
                xonxoff=config.flow_control == "xonxoff",
                timeout=_READ_TIMEOUT_SECONDS,
                # Two readers of one line would each get half of every frame.
                exclusive=True,
            )
        except _LINE_ERRORS as error:
            raise _LineLostError(str(error)) from error
        except ValueError as error:
            raise ConfigurationError(f"port = {config.port!r}: {error}") from error

    def _read(self, line: Any, backoff: Backoff) -> None:
        opened = time.monotonic()
        is_first = True
        while not self.stopping:
            data = _read_some(line)
            now = time.time()
            self._report()
            if not data:
                continue
            if is_first:
                is_first = False
                is_quiet = time.monotonic() - opened > _QUIET_SECONDS
                self._framer.reset(is_cut=self._may_be_cut(is_quiet))
                # Only a line that delivers is healthy: one that opens and fails at once
                # must not be tried at full speed.
                backoff.reset()
            rows = self._sort_out(self._framer.feed(data), now)
            if rows:
                self.publish(
                    DAQJobMessageStoreTabular(
                        store_config=self.config.store_config,
                        keys=self._keys,
                        units=self._units,
                        data=rows,
                    )
                )

    def _may_be_cut(self, is_quiet: bool) -> bool:
        if self.config.first_frame == "auto":
            return not is_quiet
        return self.config.first_frame == "discard"

    def _sort_out(self, frames: list[Frame], now: float) -> list[list[Value]]:
        rows: list[list[Value]] = []
        for frame in frames:
            try:
                if frame.problem:
                    raise BadFrameError(frame.problem)
                values = self._parser.parse(frame.data)
            except BadFrameError as error:
                self._put_aside(now, str(error), frame.data)
                continue
            if values is not None:
                rows.append([now, *values])
        return rows

    def _put_aside(self, now: float, reason: str, data: bytes) -> None:
        self.bad_lines += 1
        self.log.debug("bad line, %s: %s", reason, escape(data[:200]))
        if self._bad_line_file is None:
            return
        try:
            self._bad_line_file.append(dt.datetime.fromtimestamp(now, dt.UTC), reason, data)
        except OSError as error:
            # The good lines matter more than the record of the bad ones.
            name = errno.errorcode.get(error.errno or 0, "error")
            self.log.error("%s: %s; bad lines are no longer kept", self._bad_line_file.path, name)
            self._bad_line_file = None

    def _report(self, *, is_last: bool = False) -> None:
        new = self.bad_lines - self._reported_bad_lines
        if not new or (time.monotonic() < self._next_report and not is_last):
            return
        self._reported_bad_lines = self.bad_lines
        self._next_report = time.monotonic() + _REPORT_SECONDS
        kept = f", kept in {self._bad_line_file.path}" if self._bad_line_file else ""
        self.log.warning("%d bad lines, %d in all%s", new, self.bad_lines, kept)

    def _make_bad_line_file(self) -> BadLineFile | None:
        name = self.config.bad_lines_file
        if name is None:
            name = f"out/{self.unique_id}_bad_lines.txt"
        return BadLineFile(Path(name), self.config.bad_lines_max_bytes) if name else None


def _read_some(line: Any) -> bytes:
    try:
        return bytes(line.read(min(_READ_BYTES, max(1, line.in_waiting))))
    except _LINE_ERRORS as error:
        raise _LineLostError(str(error)) from error


def _from_hex(key: str, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise ValueError(f"{key} = {digits!r} is not made of hexadecimal digit pairs") from error
