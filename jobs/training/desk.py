"""The driver's side of a training: what workers tell, passed on to whoever watches."""

from __future__ import annotations

from jobs.spec import Context, JobFailed, Progress
from jobs.training.course import Course
from jobs.training.crew import Note


class Desk:
    """Takes notes: numbers and progress go to the context, broken pictures and failures are kept."""

    def __init__(self, course: Course, context: Context) -> None:
        self._course, self._context = course, context
        self.broken: dict[str, str] = {}
        self.failure: JobFailed | None = None

    def take(self, note: Note) -> None:
        """One note, from whichever worker."""
        if note.kind == "metrics":
            for name, value in note.values.items():
                self._context.metric(name, value, note.step)
        elif note.kind == "progress":
            self._context.progress(self._progress(note))
        elif note.kind == "broken":
            self.broken.update(note.broken)
        elif note.kind == "log":
            self._context.log(note.text)
        elif self.failure is None:
            self.failure = JobFailed(note.text, note.details)

    def _progress(self, note: Note) -> Progress:
        rows, (epoch, inside) = self._course.rows.count, divmod(note.step, self._course.epoch_steps)
        images = epoch * rows + min(inside * self._course.batch_size, rows)
        rate, workers = note.values["images_per_s"], int(note.values["workers"])
        of_images = self._course.epochs * rows
        return Progress(epoch, self._course.epochs, images, of_images, len(self.broken), rate, workers, "epoch")
