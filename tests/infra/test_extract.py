"""The schema that stands in for the provider's: how it is read out of the package, and that nothing in it is unused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.infra.extract import LIST, PROVIDER_VERSION, SCHEMA, SET, Module, as_text, used

#: As the package has it, and shorter.
TYPESCRIPT = """
export class Thing extends cdktf.TerraformResource {
  public static readonly tfResourceType = "google_thing";

  // made_at - computed: true, optional: false, required: false
  public get madeAt() {
    return this.getStringAttribute('made_at');
  }

  // name - computed: false, optional: false, required: true
  private _name?: string;
  public get name() {
    return this.getStringAttribute('name');
  }

  // origins - computed: true, optional: true, required: false
  private _origins?: string[];
  public get origins() {
    return cdktf.Fn.tolist(this.getListAttribute('origins'));
  }

  // states - computed: true, optional: false, required: false
  private _states = new ThingStatesList(this, "states", false);
  public get states() {
    return this._states;
  }

  // part - computed: false, optional: false, required: true
  private _part = new ThingPartList(this, "part", true);
  public get part() {
    return this._part;
  }

  // place - computed: false, optional: true, required: false
  private _place = new ThingPlaceOutputReference(this, "place");
  public get place() {
    return this._place;
  }

  protected synthesizeHclAttributes(): { [name: string]: any } {
    const attrs = {
      name: {
        value: cdktf.stringToHclTerraform(this._name),
        isBlock: false,
        type: "simple",
        storageClassType: "string",
      },
      origins: {
        value: cdktf.listMapperHcl(cdktf.stringToHclTerraform, false)(this._origins),
        isBlock: false,
        type: "set",
        storageClassType: "stringList",
      },
      part: {
        value: cdktf.listMapperHcl(thingPartToHclTerraform, true)(this._part.internalValue),
        isBlock: true,
        type: "set",
        storageClassType: "ThingPartList",
      },
      place: {
        value: thingPlaceToHclTerraform(this._place.internalValue),
        isBlock: true,
        type: "list",
        storageClassType: "ThingPlaceList",
      },
    };
  }
}
export function thingPartToHclTerraform(struct?: ThingPart): any {
  const attrs = {
    size: {
      value: cdktf.numberToHclTerraform(struct!.size),
      isBlock: false,
      type: "simple",
      storageClassType: "number",
    },
  };
}
export function thingPlaceToHclTerraform(struct?: ThingPlace): any {
  const attrs = {
  };
}
export class ThingPartOutputReference extends cdktf.ComplexObject {
  // size - computed: false, optional: true, required: false
  public get size() {
    return this.getNumberAttribute('size');
  }
}
export class ThingPlaceOutputReference extends cdktf.ComplexObject {
}
export class ThingStatesOutputReference extends cdktf.ComplexObject {
  // ok - computed: true, optional: false, required: false
  public get ok() {
    return this.getBooleanAttribute('ok');
  }
}
"""


def module(folder: Path, typescript: str) -> Module:
    packed = base64.b64encode(json.dumps({"sourcesContent": [typescript]}).encode()).decode()
    (folder / "index.js").write_text(f"//# sourceMappingURL=data:application/json;base64,{packed}")
    return Module(folder)


def test_arguments_blocks_and_what_google_sets_are_told_apart(tmp_path: Path) -> None:
    size = {"attributes": {"size": ["o", "number"]}, "blocks": {}}

    assert module(tmp_path, TYPESCRIPT).resource("google_thing") == {
        "attributes": {
            "made_at": ["c", "string"],
            "name": ["r", "string"],
            "origins": ["oc", ["set", "string"]],
            "states": ["c", ["list", ["object", {"ok": "bool"}]]],
        },
        "blocks": {"part": [SET, 1, 0, size], "place": [LIST, 0, 1, {"attributes": {}, "blocks": {}}]},
    }


def test_an_argument_without_its_comment_is_no_guess(tmp_path: Path) -> None:
    uncommented = TYPESCRIPT.replace("  // name - computed: false, optional: false, required: true\n", "")

    with pytest.raises(ValueError, match=r"arguments without flags: \['name'\]"):
        module(tmp_path, uncommented).resource("google_thing")


def test_the_file_holds_what_infra_uses_and_nothing_else() -> None:
    held = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert (set(held["resources"]), set(held["data_sources"])) == used(), "run: python -m tests.infra.extract"


def test_the_file_says_where_it_is_from_and_whose_it_is() -> None:
    text = SCHEMA.read_text(encoding="utf-8")
    held = json.loads(text)

    assert PROVIDER_VERSION in held[""]["what"]
    assert held[""]["licence"].startswith("MPL-2.0, https://")
    assert as_text(held) == text
