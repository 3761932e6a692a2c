"""The fields that name what is segmented, and what it is held against."""

from __future__ import annotations

from pydantic import Field

from jobs.spec import Job


class Given(Job):
    """Inputs of `segment`: `FILE.npz#key`, zarr, HDF5, TIFF and more, here or on S3."""

    volume: str | None = Field(None, description="the image: blocks where it is all 0 are skipped")
    boundaries: str | None = Field(None, description="boundary probability, bytes or 0..1: FILE.npz#key, zarr, ...")
    affinities: str | None = Field(None, description="affinities, channels first, 1 = one neuron; with --offsets")
    offsets: str | None = Field(
        None, description="Z,Y,X of each channel, separated by ';'; default -1,0,0;0,-1,0;0,0,-1"
    )
    components: str | None = Field(
        None, description="a mask or ids: its 6-connected components of equal value, and nothing else"
    )
    fragments: str | None = Field(None, description="an over-segmentation to agglomerate, in place of a watershed")
    truth: str | None = Field(None, description="true ids to score against; voxels with 0 are not counted")
    skeletons: str | None = Field(None, description="folder of SWC files to follow through the segments")
    skeleton_nm: float = Field(1.0, gt=0, description="nanometres that coordinates of --skeletons count in")
    mask: str | None = Field(None, description="volume that is 0 where nothing is to be segmented")
