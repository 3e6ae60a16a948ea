"""Holds the answers to the rules of hooks/pre_gen_project.py once all are given, and asks again for the bad ones.

A hook can only refuse, and cookiecutter then prints a traceback. cookiecutter.json loads this as a Jinja extension,
which also tells what a hook can't know: which commit of the template, from where, a project is baked from.
"""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
from cookiecutter.exceptions import FailedHookException
from cookiecutter.prompt import read_user_variable
from jinja2.ext import Extension

TEMPLATE = Path(__file__).parent


class Answers(Extension):
    """The filter `checked`, which the last question is followed by, and what .template.json says of the template."""

    def __init__(self, environment):
        super().__init__(environment)
        environment.filters["checked"] = checked
        environment.globals |= {"template_url": template_url, "template_commit": template_commit}


def checked(answers):
    """Asks for bad answers until they are good; with nobody there to ask, ends cookiecutter with a line for each."""
    problems = runpy.run_path(str(TEMPLATE / "hooks" / "pre_gen_project.py"))["problems"]
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    command = click.get_current_context(silent=True)
    is_asking = command is not None and not command.params.get("no_input") and sys.stdin.isatty()
    while found := problems(answers):
        if not is_asking:
            raise FailedHookException("\n".join(found.values()))
        for name, line in found.items():
            click.echo(line)
            suggested = line.rpartition("Try ")[2].rstrip(".")
            default = suggested if "{{" in questions[name] else questions[name]
            answers[name] = read_user_variable(name, default, questions["__prompts__"], "  ")
    return "yes"


def template_url():
    """Returns the address that the template was cloned from, without what may be secret in it; "" for a mere folder."""
    url = git("config", "remote.origin.url")
    is_address = re.match(r"(https?|ssh|git)://|[\w.-]+@[\w.-]+:", url)
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url) if is_address else ""


def template_commit():
    """Returns the commit; "" where the template's folder is no clone, or differs from it."""
    return "" if git("--no-optional-locks", "status", "--porcelain") else git("rev-parse", "HEAD")


def git(*arguments):
    """Returns what git says of the template, or "" if it can't."""
    try:
        command = ["git", "-C", str(TEMPLATE), *arguments]
        done = subprocess.run(command, capture_output=True, text=True) if (TEMPLATE / ".git").exists() else None
    except OSError:
        return ""
    return done.stdout.strip() if done and done.returncode == 0 else ""
