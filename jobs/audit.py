"""Who is in a data set, and whom a model fails: an audit of a corpus, of predictions, or of any table of answers.

Rows are counted once, by group, truth and prediction (`vision.fairness.counts`); all that is reported follows from
those counts. So the answer is the same to the last bit for any sharding, and a billion rows cost one pass. How it is
carried out stands in `jobs.auditing.whole`, which nobody loads who only asks what the fields are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from jobs.auditing.fields import Labelled, Placing, Trusts
from jobs.spec import Context, Plain, Report


class Audit(Trusts, Labelled, Placing):
    """Say who is in a data set, and how errors fall across groups."""

    figures: ClassVar[bool] = True

    predictions: str | None = Field(None, description="predictions to audit; without them the corpus alone")
    table: str | None = Field(
        None, description="CSV, TSV or Parquet of answers, or a folder of Parquet files, in place of --corpus"
    )
    columns: tuple[str, ...] = Field(
        (),
        description="with --table: role=name,... such as truth=y,prediction=p,score=s,count=n; rate=r of given rates",
    )
    by: tuple[str, ...] = Field((), description="columns of the groups")
    order: int = Field(1, ge=1, le=4, description="groups of combinations of up to this many columns")
    groups: str | None = Field(None, description="YAML file: column to its values, and their other spellings")
    reference: str | None = Field(None, description="table of a population: columns of --by, with share or count")
    positive: str | None = Field(None, description="the class that is +, for true and false positives and parity")
    metrics: tuple[str, ...] = Field((), description="rates to audit; default: all that the answers determine")
    cluster_by: str | None = Field(
        None, description="column that says whose row it is: answers by person beside those by row"
    )
    min_group: int = Field(30, ge=1, description="rows that a group needs to be judged")
    min_errors: float = Field(5.0, ge=0, description="rows of the rarer outcome that a group must be expected to have")
    level: float = Field(0.05, gt=0, lt=1, description="share of findings that may be false")
    max_groups: int = Field(1000, ge=2, le=1_000_000, description="values that a column of --by may have")
    top: int | None = Field(None, ge=1, description="keep the most frequent values of a column, the rest as (other)")
    second: tuple[str, ...] = Field(
        (), description="COLUMN=OTHER: another annotation of a column of --by, to agree with"
    )
    checked: str | None = Field(
        None,
        description="table with a predicted column of --by beside the column true (and count): bounds on true rates",
    )
    published: str | None = Field(None, description="published figures to set beside: lfw, ijb-a or adience")
    annotated_by: str | None = Field(None, description="who said which group a row belongs to")

    def run(self, context: Context | None = None) -> Report:
        """Audit.

        Raises:
            SpecError: if a field does not fit the rows.
            JobFailed: if a shard is missing or damaged, or a group was not declared.
        """
        from jobs.auditing.whole import audited

        return audited(self, context or Plain())

    def estimate(self, context: Context) -> Mapping[str, str]:
        """The rows that would be read, as far as footers and manifests tell."""
        from jobs.auditing.whole import estimated

        return estimated(self)
