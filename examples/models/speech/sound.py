"""Waveforms at 8 kHz, noise at a given ratio, and the log-mel features that the net hears."""
from __future__ import annotations

import functools
import math

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

RATE = 8000  # Hz
WINDOW, HOP, FFT = 200, 80, 256  # samples: 25 ms every 10 ms
BANDS = 40
RANGE = 12.0  # nats between the loudest band and the floor


def at_our_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    """float32 samples in [-1, 1] at RATE from 16-bit ones."""
    common = math.gcd(rate, RATE)
    return resample_poly(samples.astype(np.float32) / 32768.0, RATE // common, rate // common).astype(np.float32)


def read_wave(source) -> np.ndarray:
    """at_our_rate() of a 16-bit mono wav file or file object."""
    rate, samples = wavfile.read(source)
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(f"{source}: {samples.dtype} samples of shape {samples.shape}, expected 16-bit mono")
    return at_our_rate(samples, rate)


@functools.cache
def coloured_noise(tilt: float, held_out: bool) -> np.ndarray:
    """Sixteen seconds of noise of unit power whose power density falls as frequency^-tilt: 0 is white, 1 pink, 2 brown.
    What is held out is another recording, so that no net has heard it."""
    length = 16 * RATE
    seed = round(1000 * tilt) + (1_000_000 if held_out else 0)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    frequency = np.maximum(np.arange(len(spectrum)) * RATE / length, 20.0)  # hertz; below 20 nothing grows any more
    noise = np.fft.irfft(spectrum * frequency ** (-tilt / 2.0), length)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def speech_power(wave: np.ndarray) -> float:
    """Mean power of the frames that are not silence: pauses must not make the noise weaker."""
    frames = wave[: len(wave) // HOP * HOP].reshape(-1, HOP)
    power = np.mean(frames**2, axis=1)
    return float(np.mean(power[power >= 1e-3 * power.max()]))


def with_noise(wave: np.ndarray, snr_db: float | None, tilt: float, source: np.random.Generator,
               held_out: bool = False) -> np.ndarray:
    """The wave and, unless snr_db is None, a stretch of noise from a random place, so much weaker than the speech."""
    if snr_db is None:
        return wave
    noise = coloured_noise(tilt, held_out)
    begin = source.integers(len(noise) - len(wave))
    level = math.sqrt(speech_power(wave) / 10.0 ** (snr_db / 10.0))
    return wave + level * noise[begin : begin + len(wave)]


@functools.cache
def mel_filters() -> np.ndarray:
    """[BANDS, FFT / 2 + 1] triangles of equal width on the mel scale, from 60 Hz to 3800 Hz."""
    def mel(hertz):
        return 2595.0 * np.log10(1.0 + hertz / 700.0)

    edges = np.linspace(mel(60.0), mel(3800.0), BANDS + 2)
    at = mel(np.arange(FFT // 2 + 1) * RATE / FFT)
    rise = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """float32 [frames, BANDS], one frame every 10 ms, without the level of the recording."""
    padded = np.pad(wave, (0, max(0, WINDOW - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), FFT)) ** 2
    bands = np.log(power.astype(np.float32) @ mel_filters().T + 1e-6)
    bands = np.maximum(bands, bands.max() - RANGE)  # digital silence must not outweigh all that is heard
    return (bands - bands.mean()) / 2.0
